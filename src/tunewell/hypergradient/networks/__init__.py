"""The PyTorch face: a module, its training loss and its validation loss; whatever their hyperparameters.

    optimizers.py   SGD, Adam: steps as functions, with hyperparameters that may change from step to step
    trouble.py      what keeps a loss from having a gradient, each with a sentence
    training.py     Training: what is trained, on what, and how
    reverse.py      reverse: back through every step, from checkpoints
    truncated.py    truncated: back through the last steps only; biased
    forward.py      forward: tangents carried along with the optimizer
    online.py       online: one step ahead, while training; biased
"""
