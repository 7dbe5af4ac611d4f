"""Maps of dark matter: denoised, and told apart by the universe they are of."""

from isthmus.contracts import Array
from isthmus.studies.massmaps.denoising import denoiser, judged
from isthmus.studies.massmaps.skies import GALAXIES, NBODY, PAIR, control, dealt, nbody, skies
from isthmus.studies.massmaps.story import told_story
from isthmus.studies.massmaps.telling import TASKS, Told, measured, told
from isthmus.studies.notebook import Notebook
from isthmus.studies.study import Outcome, Study

__all__ = ["STUDY", "run"]


def run(notebook: Notebook) -> Outcome:
    """Denoise maps and tell their universes apart, at both densities of galaxies."""
    folds, (unseen, _) = skies(notebook), nbody(notebook)
    tasks = {"two": PAIR} if notebook.quick else TASKS
    telling: dict[tuple[str, int], list[Told]] = {}
    judging: dict[tuple[str, int], list[dict[str, Array]]] = {}
    for galaxies in GALAXIES[:1] if notebook.quick else GALAXIES:
        for seed in notebook.seeds:
            sky = dealt(folds, seed)
            model = denoiser(notebook, sky, galaxies, seed)
            for where, maps in (("test", sky.maps["test"]), ("nbody", unseen)):
                found = judged(notebook, where, maps, sky, model, galaxies, seed)
                judging.setdefault((where, galaxies), []).append(found)
            features = measured(notebook, "gravity", sky, galaxies, seed, model)
            for task in tasks:
                taken = told(notebook, task, task, features, sky, galaxies, seed)
                telling.setdefault((task, galaxies), []).append(taken)
    for seed in notebook.seeds:
        sky = control(dealt(folds, seed), PAIR, seed)
        features = measured(notebook, "lognormal", sky, GALAXIES[0], seed)
        taken = told(notebook, "lognormal", "two", features, sky, GALAXIES[0], seed)
        telling.setdefault(("lognormal", GALAXIES[0]), []).append(taken)
    return told_story(notebook, telling, judging)


STUDY = Study(
    name="massmaps",
    title="Mass maps: denoising, and telling universes apart",
    question="Do maps of dark matter, seen through the noise of galaxies' shapes, tell of which "
    "universe they are beyond their spread, skewness and kurtosis?",
    files=(NBODY,),
    run=run,
)
