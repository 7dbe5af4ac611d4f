"""Anomalies: how strange samples are to a fitted model."""

from isthmus.detection.detector import Detector, Scored
from isthmus.detection.outliers import AnomalyDetector

__all__ = ["AnomalyDetector", "Detector", "Scored"]
