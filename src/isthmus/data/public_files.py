"""The table of the studies' files, each with its origin as far as that is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from isthmus.data.originals import gzipped, matrix, neurons, small_neurons, sources

__all__ = ["FILES", "DataFile", "Derived", "Origin", "Published"]

FILES_OF_REPOSITORIES = "https://raw.githubusercontent.com"
WHOLE_REPOSITORIES = "https://codeload.github.com"

Make = Callable[[Path, Path], None]


@dataclass(frozen=True)
class Origin:
    """Who published data, and under what terms.

    Attributes:
        repository: on GitHub, ``"owner/name"``.
        commit: of it.
        licence: as it is stated there.
    """

    repository: str
    commit: str
    licence: str

    def __str__(self) -> str:
        return f"{self.repository}@{self.commit}"


@dataclass(frozen=True)
class Published:
    """A file is what lies at a path of its repository, or is made of it.

    Attributes:
        path: in the repository; ``""`` is the repository whole, as ``.tar.gz``.
        make: makes the file of it; None where it is that file.
    """

    path: str
    make: Make | None = None

    def url(self, origin: Origin) -> str:
        """Where it is to be had."""
        if not self.path:
            return f"{WHOLE_REPOSITORIES}/{origin.repository}/tar.gz/{origin.commit}"
        return f"{FILES_OF_REPOSITORIES}/{origin.repository}/{origin.commit}/{quote(self.path)}"


@dataclass(frozen=True)
class Derived:
    """A file is made of another one of the table.

    Attributes:
        name: of the other one.
        make: makes the file of it.
    """

    name: str
    make: Make


@dataclass(frozen=True)
class DataFile:
    """One file that a study needs.

    Attributes:
        name: by which the studies ask for it, a path in a data folder.
        study: that needs it.
        what: it is.
        origin: of its data.
        size: bytes.
        sha256: of what it holds, as :func:`isthmus.data.originals.checksum` has it.
        source: how it is got; None: it was cut or converted, and no public place has it.
    """

    name: str
    study: str
    what: str
    origin: Origin
    size: int
    sha256: str
    source: Published | Derived | None = None


_NEURONS = Origin(
    "mary-alegro/caffe_tutorial_thw", "b0eade94da53ee2fc59807afa68cd726fade2dc5", "none stated"
)
_MATRICES = Origin(
    "davidechicco/DeepAutoencoderGOA",
    "40bdaad07a94363806a858629cc94f0c9b71228e",
    "GPL-3.0 (repository); GO annotations",
)
_YEAST = "AGPL-3.0 (repository); SGD data"
_HUBBLE = Origin(
    "scikit-image/scikit-image",
    "60764df36c34c5202554aae507722836b6108d10",
    "public domain (NASA), as stated there",
)
_GALSIM = "BSD-style (GalSim LICENSE)"
_COSMOS = Origin("GalSim-developers/GalSim", "ee177aa50424dbbc5cec4a71cadd6297109c2aa1", _GALSIM)
_CREDO = Origin(
    "browarsoftware/credo_dnn_rays_recognition",
    "5e0e687e523168903a5f283389b6026a73d37c44",
    "none stated; cite Hachaj et al., Sensors 2021, 21, 1963, and the CREDO project",
)
_LENSING = Origin("apetri/LensTools", "fd89d23dc8412f42716d5b243142f6b32fe98e0b", "MIT")


def _matrix(name: str, path: str, size: int, sha256: str) -> DataFile:
    """One of the six matrices of Chicco, Sadowski and Baldi (2014)."""
    kind = {"BP": "biological process", "CC": "cellular component", "MF": "molecular function"}
    animal = "cow" if name.startswith("Bos") else "chicken"
    what = f"genes x terms of {kind[name[-2:]]}, {animal}"
    source = Published(f"data/__stampa_matrice_{path}.txt", matrix)
    place = f"ontology/go_matrix_{name}.npz"
    return DataFile(place, "genes", what, _MATRICES, size, sha256, source)


def _slim(date: str, origin: Origin, path: str, size: int, sha256: str) -> DataFile:
    """Yeast's annotations at one date."""
    what = f"annotations of yeast's genes, {date}"
    place = f"ontology/sgd_go_slim_mapping_{date}.tab.gz"
    return DataFile(place, "genes", what, origin, size, sha256, Published(path, gzipped))


def _cosmos(end: str, what: str, size: int, sha256: str) -> DataFile:
    """A part of GalSim's example catalogue of COSMOS."""
    name = f"real_galaxy_catalog_23.5_example{end}.fits"
    source = Published(f"examples/data/{name}")
    return DataFile(f"galaxies/{name}", "galaxies", what, _COSMOS, size, sha256, source)


FILES: tuple[DataFile, ...] = (
    DataFile(
        "cells/ucsf_neuron_if_256.zip",
        "cells",
        "844 neurons of the human brain stem, 256 x 256 JPEG, of 11 donors",
        _NEURONS,
        4020662,
        "f1e40ffacb037856d70ea223c4cda4961de4fad53909fe6aa6670f94502ee332",
        Published("", neurons),
    ),
    DataFile(
        "cells/ucsf_neuron_if_28.npz",
        "cells",
        "the same, 28 x 28",
        _NEURONS,
        1544410,
        "4fd63b42fe3092c88b47c3c5bd70c4e77fd10de714ab5416c118739ad3ff4f85",
        Derived("cells/ucsf_neuron_if_256.zip", small_neurons),
    ),
    _matrix(
        "BosTaurus9913_BP",
        "BosTaurus9913-BP",
        27062,
        "6b0efb5b1e8caf38f2953cb3e775c71d034d872e5532d0bfc13cbd196e026fd5",
    ),
    _matrix(
        "BosTaurus9913_CC",
        "BosTaurus9913-CC",
        8394,
        "d5aa8e091292bcc87de277da9e1841853b63e72992b546f98d530caba339bace",
    ),
    _matrix(
        "BosTaurus9913_MF",
        "BosTaurus9913-MF_new",
        7880,
        "b11110fba25018625d22431d3b3dd9a4f6809205eced96eed6454cee30f1dd70",
    ),
    _matrix(
        "GallusGallus9031_BP",
        "GallusGallus9031-BP",
        12553,
        "e3eebcbfd8f85f4ab8040ea7f9843256b1e6d3ea109351711aa33cca3987c28d",
    ),
    _matrix(
        "GallusGallus9031_CC",
        "GallusGallus9031-CC",
        4113,
        "48fdb93c8ef6114f033c9765f7da3971f5298ec75befa1d00a442c5c70273565",
    ),
    _matrix(
        "GallusGallus9031_MF",
        "GallusGallus9031-MF",
        4137,
        "fff205a1f6f1b55335d42fa92bb6b6f1bf7f05967ce0f37135bb838a85e71766",
    ),
    _slim(
        "2015-08",
        Origin(
            "F3licity/Edith", "4abc1712b631e92f4a2d566d71e3ad80d91d4cc7", "none stated; SGD data"
        ),
        "go_slim_mapping.tab",
        262223,
        "a54bc5303229146b3daa4143f355929a19baebceb6f65c603fd0508939a78243",
    ),
    _slim(
        "2015-10",
        Origin("asarnow/pubs", "fde5b3cf9b3688227b3e9bee396e3bcb5a70fa62", _YEAST),
        "data/go_slim_mapping.tab",
        263100,
        "d52d57b2052b2f2d3f2af570c697aa28baa44bd3f68f909d6363bfdee7633939",
    ),
    _slim(
        "2024-02",
        Origin(
            "Bio724D/Bio724D_2023_2024",
            "5f6b00cf8918982a8fcd360a3c358ccf9f9851e2",
            "none stated; SGD data",
        ),
        "data/go_slim_mapping.tab",
        398396,
        "f2e4c009cbace63e3307e60ff43ad34c13626b6a3b58439d54439f93496bc257",
    ),
    DataFile(
        "ontology/goslim_yeast_2015.obo",
        "genes",
        "the terms of yeast's slim, OBO",
        Origin(
            "asarnow/pubs",
            "fde5b3cf9b3688227b3e9bee396e3bcb5a70fa62",
            "AGPL-3.0 (repository); GO CC BY 4.0",
        ),
        323270,
        "1a7522b230114690f4c21a9873fab6459d7dfd5ad137d71c5e16698e2fbda2ce",
        Published("data/goslim_yeast.obo"),
    ),
    DataFile(
        "ontology/go_dag_2024-02.tsv.gz",
        "genes",
        "the whole Gene Ontology, each term with its parents",
        Origin(
            "cran/ontologyIndex",
            "0c16aa86495297bb5b77a42c0e1f3b16f2af2b8a",
            "GPL>=2 (package); GO CC BY 4.0",
        ),
        691329,
        "cc3c440e7a5a8892669004269dfb904cb10e0ea7edc9710858635742afa0917d",
    ),
    DataFile(
        "ontology/arabidopsis_association.tsv.gz",
        "genes",
        "terms of Arabidopsis's genes",
        Origin(
            "tanghaibao/goatools",
            "c5fedea21e9f66c3c2c13da788ea04a5c760329f",
            "BSD-2-Clause (repository)",
        ),
        313292,
        "60bd02f9b86f0514bbea6c3518c7983aab8a5b92a5ee5a2f83943542dc13cbda",
        Published("data/association", gzipped),
    ),
    DataFile(
        "particles/credo_cosmic_ray_hits.zip",
        "neutrinos",
        "1,750 hits on cameras of telephones, PNG, with five judges' votes",
        _CREDO,
        4097126,
        "3356d379e8db0ffa53c1f7cb26d99bd9f39e3ed4a8f23f9bd883f613fea06ffe",
    ),
    DataFile(
        "particles/credo_cosmic_ray_hits_60.npz",
        "neutrinos",
        "the same as arrays, 60 x 60",
        _CREDO,
        3402975,
        "817b7ff3ac6f6ab9223cbbdc3828f2ee6f0da4c3d6ea87d05ba14b4631548f06",
    ),
    DataFile(
        "galaxies/cosmos_23.5_500_fits.fits",
        "galaxies",
        "fits of profiles to 500 galaxies of COSMOS",
        Origin("GalSim-developers/GalSim", "739093b6ce3f70cebdbf46de44afd5d5adbccdd7", _GALSIM),
        138240,
        "505c17d9d721e3e21fa72dc1fc3c7c4bce18e0f5fd29d6b4b8deb019d9acdd59",
        Published("examples/data/real_galaxy_23.5_500_fits.fits"),
    ),
    _cosmos(
        "",
        "100 galaxies of COSMOS",
        28800,
        "ad4db599188bcd86449a25f37cfa6f9f660ba1d6b769e2bc5b9702606dd0f488",
    ),
    _cosmos(
        "_fits",
        "fits of profiles to these 100",
        43200,
        "5def1e78f0bff613984436a32c223794e27aaee33086b42eab273cc395be6637",
    ),
    _cosmos(
        "_selection",
        "how these 100 were selected",
        11520,
        "f37e897a8e0f6179e4a660cc0a1d720f48ed5dfd30db0c9b929ecf6988e6ddc7",
    ),
    DataFile(
        "galaxies/hubble_deep_field.jpg",
        "galaxies",
        "the Hubble eXtreme Deep Field",
        _HUBBLE,
        527940,
        "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4",
        Published("skimage/data/hubble_deep_field.jpg"),
    ),
    DataFile(
        "galaxies/hdf_cutouts_32.npz",
        "galaxies",
        "618 sources cut from that picture, 32 x 32",
        _HUBBLE,
        1117366,
        "89ea5ab0c1d5381fcca9ad74d26c3f89531d82e3115eb6378f250d9f9600e8dd",
        Derived("galaxies/hubble_deep_field.jpg", sources),
    ),
    DataFile(
        "cosmology/nbody_lens_planes_sigma.npz",
        "massmaps",
        "matter in 36 planes of an N-body simulation",
        _LENSING,
        16739629,
        "a7ba28fdb741753ec4abe37e212848d42e641c1f49ba5a819cb19d34a060bed5",
    ),
    DataFile(
        "cosmology/kappa_born_255.npz",
        "massmaps",
        "48 convergence maps of that simulation",
        _LENSING,
        5726711,
        "a6a379420d0e7ab7ef687cca999036595f8b1efd242626030b4d6922437a34fd",
    ),
)
