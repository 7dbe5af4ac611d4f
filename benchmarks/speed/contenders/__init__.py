"""One file a contender: a function ``train(task, pace, ...)`` that returns each epoch's loss.

This is the list of them.
"""

from __future__ import annotations

from speed.task import Contender

CONTENDERS = {
    "pythae": Contender("pythae_trainer", "pythae, BaseTrainer"),
    "lightning": Contender(
        "lightning_trainer", "Lightning, its Trainer as it comes", options={"bare": False}
    ),
    "lightning-bare": Contender("lightning_trainer", "Lightning without bar, log and checkpoints"),
    "scvi": Contender(
        "scvi_tools", "scvi-tools, its loader, plan and trainer", options={"bare": False}
    ),
    "scvi-loader": Contender("scvi_tools", "scvi-tools' loader, Lightning's bare Trainer"),
    "pyod": Contender(
        "pyod_detector", "PyOD's VAE, its own loop, this loss; sigmoid outputs, two heads"
    ),
    "keras-torch": Contender(
        "keras_model", "Keras 3, torch backend, `fit`", options={"backend": "torch"}
    ),
    "keras-jax": Contender(
        "keras_model", "Keras 3, jax backend, `fit`", options={"backend": "jax"}
    ),
    "resident": Contender("resident", "bare torch loop, data resident, fused Adam, float32"),
    "resident-tuned": Contender(
        "resident",
        "bare torch loop, products by oneDNN, gradients kept in place",
        options={"tuned": True},
    ),
    "cuda-graph": Contender("cuda_graph", "loop by hand, its step one CUDA graph, float32"),
    "cuda-graph-bfloat16": Contender(
        "cuda_graph", "loop by hand, its step one CUDA graph, bfloat16", options={"bfloat16": True}
    ),
    "isthmus-float32": Contender(
        "isthmus_estimator",
        "isthmus, precision='float32'",
        options={"precision": "float32"},
    ),
    "isthmus-auto": Contender(
        "isthmus_estimator", "isthmus, precision='auto'", options={"precision": "auto"}
    ),
    "isthmus-float32-compiled": Contender(
        "isthmus_estimator",
        "isthmus, precision='float32', compiled",
        options={"precision": "float32", "compile": True},
    ),
    "isthmus-auto-compiled": Contender(
        "isthmus_estimator",
        "isthmus, precision='auto', compiled",
        options={"precision": "auto", "compile": True},
    ),
    "isthmus-auto-512": Contender(
        "isthmus_estimator",
        "isthmus, precision='auto', batch 512",
        batch_size=512,
        options={"precision": "auto"},
    ),
    "isthmus-float32-kept": Contender(
        "isthmus_estimator",
        "isthmus, float32, validated and checkpointed every epoch",
        options={"precision": "float32", "keep": True},
    ),
    "isthmus-auto-kept": Contender(
        "isthmus_estimator",
        "isthmus, auto, validated and checkpointed every epoch",
        options={"precision": "auto", "keep": True},
    ),
    "denoiser-plain": Contender("denoiser", "plain torch, DataLoader", 128, {"resident": False}),
    "denoiser-resident": Contender("denoiser", "data resident, fused Adam, float32", 128),
    "denoiser-channels-last": Contender(
        "denoiser", "data resident, channels last", 128, {"channels_last": True}
    ),
    "denoiser-bfloat16": Contender("denoiser", "data resident, bfloat16", 128, {"bfloat16": True}),
    "denoiser-compiled": Contender("denoiser", "data resident, compiled", 128, {"compiled": True}),
    "denoiser-isthmus-float32": Contender(
        "isthmus_denoiser", "isthmus, precision='float32'", 128, {"precision": "float32"}
    ),
    "denoiser-isthmus-auto": Contender(
        "isthmus_denoiser", "isthmus, precision='auto'", 128, {"precision": "auto"}
    ),
}
