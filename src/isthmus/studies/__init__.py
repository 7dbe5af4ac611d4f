"""The founding article's experiments, each one command.

``study`` says what a study is, ``notebook`` keeps what one finds, ``conduct`` does it; each study
is a module with a ``STUDY``, on top of the public library.
"""

from isthmus.studies.conduct import conduct
from isthmus.studies.notebook import Notebook
from isthmus.studies.study import NAMES, Comparison, Outcome, Study, named

__all__ = ["NAMES", "Comparison", "Notebook", "Outcome", "Study", "conduct", "named"]
