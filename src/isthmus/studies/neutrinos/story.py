"""The study of neutrinos: what is asked, published, found and drawn."""

from __future__ import annotations

import numpy as np

from isthmus.analysis.comparison import Interval
from isthmus.contracts import FloatArray
from isthmus.report.blocks import Table
from isthmus.report.page import Section
from isthmus.studies.neutrinos.drawing import (
    confusions,
    event_pictures,
    hit_confusion,
    hit_pictures,
    latent,
    padding_gains,
    purity_curves,
    restored,
)
from isthmus.studies.neutrinos.events import KINDS
from isthmus.studies.neutrinos.findings import (
    EFFICIENCIES,
    EXCESS,
    LOG_LOSS,
    SQUARES,
    Findings,
    find,
)
from isthmus.studies.neutrinos.hits import FILE
from isthmus.studies.neutrinos.networks import Scale
from isthmus.studies.neutrinos.pairs import CHANNELS, LOST
from isthmus.studies.notebook import Notebook
from isthmus.studies.study import Comparison, Outcome, Study
from isthmus.studies.words import percent, told

__all__ = ["STUDY"]

FULL = Scale(
    each=10_000, pairs=4_000, epochs=12, turned_epochs=16, code_epochs=5, pair_epochs=20,
    shown=500, hits=1750, folds=5, hit_epochs=40,
)  # fmt: skip
QUICK = Scale(
    each=150, pairs=60, epochs=10, turned_epochs=10, code_epochs=8, pair_epochs=8, shown=15,
    hits=160, folds=2, hit_epochs=4,
)  # fmt: skip
_KEPT = 0.9  # of the signal, where purity is told in words


def run(notebook: Notebook) -> Outcome:
    """Simulate, train, judge, and tell."""
    found = find(notebook, QUICK if notebook.quick else FULL)
    return Outcome(
        _sentences(found),
        _comparisons(found),
        _summary(found),
        _sections(notebook, found),
        (
            "The events are simulated: what holds for these holds for the real detector as far as "
            "the simulator's constants and omissions allow.",
        ),
    )


def _sentences(found: Findings) -> tuple[str, ...]:
    circular, turned = found.one_vs_rest("circular"), found.one_vs_rest("turned")
    photons = found.one_vs_rest("photon oracle")
    worst = min(KINDS, key=lambda kind: circular[kind].estimate)
    least = min(KINDS, key=lambda kind: turned[kind].estimate)
    gains = found.padding_gains()
    hits = found.hit_rates()
    return (
        f"Of simulated events of five kinds, a network told the classes by the charges of 192 "
        f"tubes puts {percent(circular['all'])} in their kind; one kind against the rest, its "
        f'accuracy is {percent(circular[worst])} for "{worst}", the hardest, where the truth as '
        f"photons can tell it gives {percent(photons[worst])}. With the times of the first "
        f"photons as a second channel, and trained on events turned and mirrored as the detector "
        f'allows, the least is {percent(turned[least])}, for "{least}".',
        f"An autoencoder that never saw a class keeps enough in 10 numbers for boosting to tell "
        f"{percent(found.one_vs_rest('codes circular')['all'])} of the events; linear "
        f"discriminants on the total charge and its centroid tell "
        f"{percent(found.one_vs_rest('LDA')['all'])}.",
        f"Where padding wraps around the cylinder instead of ending in zeros, the autoencoder's "
        f"error at the cut, beside its mean over all columns, is less by "
        f"{told(gains[EXCESS], 1)} per cent, and the whole error by "
        f"{told(gains[SQUARES], 1)} per cent, paired by seed.",
        f"Of the real hits of CREDO on which judges agree, a network trained on the shares of "
        f"their votes tells {percent(hits['network'])}, the mean of the repetitions' networks "
        f"{percent(hits['together'])}; linear discriminants on seven numbers of the brightness "
        f"{percent(hits['LDA'])}.",
    )


def _comparisons(found: Findings) -> tuple[Comparison, ...]:
    circular, turned, photons = map(found.one_vs_rest, ("circular", "turned", "photon oracle"))
    hits = found.hit_rates()
    codes = percent(found.one_vs_rest("codes circular")["all"])
    gains = found.padding_gains()
    loss, gain = gains[LOG_LOSS], gains[SQUARES]
    return (
        Comparison(
            "accuracy of a network told the classes, one kind against the rest",
            "over 97 %",
            f"charges: {_each(circular)}; with times, turned: {_each(turned)}",
            "our events are simulated, with kinds overlapping in energy and place: what photons "
            f"can tell of the truth by charges gives {percent(photons['IBD prompt'])} for prompt "
            f"and {percent(photons['other'])} for other events (the photon oracle below)",
        ),
        Comparison(
            "classes told from the 10-number codes alone",
            "a t-SNE map on which they lie apart, without a figure",
            f"{codes} of five",
            "a map shows neighbours; a classifier on the codes says how much they keep",
        ),
        Comparison(
            "padding of the 24 columns",
            "flat: the cylinder is cut open and ends in zeros",
            f"wrapping around lowers the classifier's log loss by {told(loss, 4)} nats, "
            f"the autoencoder's squared error by {told(gain, 1)} per cent and its excess at "
            f"the cut by {told(gains[EXCESS], 1)} per cent",
            "the first and the last column are neighbours",
        ),
        Comparison(
            "pairs restored by the denoising autoencoder",
            "shown, without a figure",
            f"purity {percent([_at(p) for p in found.pair_purity('codes')])} where "
            f"{100 * _KEPT:.0f} % of the signal is kept",
            "among as many pairs by chance; the published real pairs had other backgrounds too",
        ),
        Comparison(
            "real hits of four kinds (CREDO)",
            "LDA on seven numbers: 78 %",
            f"a network {percent(hits['network'])}, several together "
            f"{percent(hits['together'])}; LDA {percent(hits['LDA'])}",
            "cross-validated with near duplicates on one side; hits without a majority apart",
        ),
    )


def _each(found: dict[str, Interval]) -> str:
    return ", ".join(f"{kind} {percent(found[kind])}" for kind in KINDS)


def _at(purities: FloatArray) -> float:
    return float(np.interp(_KEPT, EFFICIENCIES, purities))


def _summary(found: Findings) -> tuple[tuple[str, str], ...]:
    return (
        ("events", f"{len(found.events):,}"),
        ("told with labels", percent(found.one_vs_rest("circular")["all"])),
        ("told from codes", percent(found.one_vs_rest("codes circular")["all"])),
        ("CREDO hits told", percent(found.hit_rates()["network"])),
    )


def _sections(notebook: Notebook, found: Findings) -> tuple[Section, ...]:
    return (
        Section(
            "The events",
            (
                "A detector of Daya Bay is simulated: 192 tubes in 8 rings of 24 look into a "
                "cylinder of scintillator. An antineutrino makes a prompt event, a positron, and "
                "a delayed one, the capture of a neutron. Muons cross the detector, tubes flash "
                "by themselves, and radioactivity makes other events. Classes are those of the "
                "published selection. Every constant was fixed before any network was trained.",
            ),
            (event_pictures(notebook, found),),
        ),
        Section(
            "Told apart with labels",
            (
                "Accuracy of one kind against the rest is the share of all events rightly put in "
                "or outside that kind. The oracle is boosting on the simulator's truth: the kind "
                "of source, energy, radius, height and spread of the light; the photon oracle "
                "sees energy, radius and height with the errors that the Cramér-Rao bound of the "
                "192 charges gives them, and no spread. No network can pass the first; to pass "
                "the second, one must see the spread, or the times.",
            ),
            (_told(found), *confusions(notebook, found)),
        ),
        Section(
            "Codes that never saw a class",
            (
                "A convolutional autoencoder is trained on the charges alone, by the sum of "
                "squares, with a code of 10 numbers, as published.",
            ),
            (latent(notebook, found),),
        ),
        Section(
            "A cylinder has no edge",
            (
                "The same networks, seeds and events with a padding that wraps around the 24 "
                "columns and with one that ends in zeros; differences are paired by seed.",
            ),
            (_padding(found), padding_gains(notebook, found)),
        ),
        Section(
            "Purity when the signal is to be kept",
            (
                "Events: prompt ones among all five kinds in equal numbers. Pairs: those of one "
                "antineutrino among as many of two events by chance.",
            ),
            purity_curves(notebook, found),
        ),
        Section(
            "Pairs restored",
            (
                f"{100 * LOST:.0f} % of the pixels are zeroed in all four channels; the "
                "autoencoder is trained to give the whole pair back.",
            ),
            (*restored(notebook, found), _errors(found)),
        ),
        Section("Real hits: CREDO", (_undecided(found),), (
            hit_pictures(notebook, found), hit_confusion(notebook, found)
        )),
    )  # fmt: skip


_NAMES = {
    "LDA": "LDA: total charge and centroid",
    "boosting": "boosting: the same",
    "codes flat": "codes, flat padding",
    "codes circular": "codes, circular padding",
    "flat": "network, flat padding",
    "circular": "network, circular padding",
    "with times": "network, charges and times",
    "turned": "the same, trained on turned events",
    "photon oracle": "photon oracle (charges)",
    "oracle": "oracle (truth)",
}


def _told(found: Findings) -> Table:
    rows = []
    for name, words in _NAMES.items():
        each = found.one_vs_rest(name)
        rows.append((words, *(percent(each[kind]) for kind in ("all", *KINDS))))
    caption = "Share of the test events, in brackets 95 % intervals over seeds."
    return Table(("by", "all five", *KINDS), tuple(rows), caption)


def _padding(found: Findings) -> Table:
    digits = (4, 2, 1, 1, 1)
    gains = zip(digits, found.padding_gains().items(), strict=True)
    rows = tuple((name, told(each, places)) for places, (name, each) in gains)
    caption = "Positive: circular padding is better. In brackets 95 % intervals over seeds."
    return Table(("circular against flat padding, paired", "gain"), rows, caption)


def _errors(found: Findings) -> Table:
    errors = np.array([pairs.errors for pairs in found.pairs]).mean(0)
    rows = tuple(
        (name, f"{errors[0, i]:.3f}", f"{errors[1, i]:.3f}") for i, name in enumerate(CHANNELS)
    )
    caption = (
        "Root mean square error over the zeroed pixels: charges as log10(1 + p.e.), times in "
        "units of 20 ns."
    )
    return Table(("channel", "restored", "mean of the neighbours"), rows, caption)


def _undecided(found: Findings) -> str:
    without = np.mean([each.undecided for each in found.judged], axis=0)
    decided = np.mean([each.probability for each in found.judged], axis=0)
    if not len(without):
        return "All of these hits have a majority."
    return (
        f"{len(without)} hits without a majority were neither trained on nor counted. For them "
        f"the network's highest probability is {without.max(1).mean():.2f} in the mean, for the "
        f"decided ones {decided.max(1).mean():.2f}: it is less sure where the judges are."
    )


STUDY = Study(
    "neutrinos",
    "Neutrinos at Daya Bay",
    "Do networks tell five kinds of events in an antineutrino detector, and does a code of ten "
    "numbers learned without labels keep them apart?",
    (FILE,),
    run,
)
