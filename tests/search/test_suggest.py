import warnings

import optuna
import pytest
from optuna.trial import FixedTrial
from toy_search import SPACE

from recsmith.contracts.errors import SpaceError
from recsmith.search.sampler import tpe
from recsmith.search.suggest import defaults, derive_seed, read, suggest


def test_a_configuration_holds_exactly_what_was_chosen():
    picked = {
        "model": "net",
        "model.net.rate": 0.1,
        "model.net.units": 24,
        "model.net.loss": "hinge",
        "model.net.loss.hinge.margin": 0.5,
        "model.net.columns.title": "words",
    }
    choice = suggest(SPACE, FixedTrial(picked))
    assert choice.model_dump() == {
        "name": "net",
        "params": {
            "rate": 0.1,
            "units": 24,
            "epochs": 9,
            "loss": {"name": "hinge", "params": {"margin": 0.5}},
            "columns": {"title": {"name": "words", "params": {}}},
        },
    }
    assert read(SPACE, picked) == choice


def test_the_option_none_leaves_no_trace():
    picked = {
        "model": "net",
        "model.net.rate": 0.1,
        "model.net.units": 8,
        "model.net.loss": "log",
        "model.net.columns.title": "none",
    }
    params = suggest(SPACE, FixedTrial(picked)).params
    assert params["columns"] == {}
    assert params["loss"] == {"name": "log", "params": {}}


def test_defaults_hold_the_live_parameters_only_and_move_into_a_narrowed_domain():
    assert dict(defaults(SPACE)) == {
        "net": {
            "model": "net",
            "model.net.rate": 1e-2,
            "model.net.units": 16,
            "model.net.loss": "hinge",
            "model.net.loss.hinge.margin": 2.0,  # the default 3.0 lies outside [0, 2]
            "model.net.columns.title": "none",
        },
        "flat": {"model": "flat", "model.flat.x": 0.9, "model.flat.kind": "square"},
    }


def test_reading_a_trial_of_another_space_names_the_parameter():
    with pytest.raises(SpaceError, match=r"model\.flat\.kind"):
        read(SPACE, {"model": "flat", "model.flat.x": 0.5})


def test_every_suggestion_reads_back_as_itself_without_a_warning():
    study = optuna.create_study(sampler=tpe(0), direction="maximize")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(15):
            trial = study.ask()
            choice = suggest(SPACE, trial)
            study.tell(trial, len(trial.params))
            assert read(SPACE, trial.params) == choice


def test_the_sampler_draws_the_parameters_of_one_model_together():
    """What `group=True` is for: each model's parameters form a space of their own."""
    study = optuna.create_study(sampler=tpe(1), direction="maximize")
    for _ in range(30):
        trial = study.ask()
        suggest(SPACE, trial)
        study.tell(trial, trial.number)
    trial = study.ask()
    space = study.sampler.infer_relative_search_space(study, study.get_trials(deepcopy=False)[-1])
    assert {"model", "model.net.rate", "model.flat.x", "model.net.loss.hinge.margin"} <= set(space)
    groups = study.sampler._search_space_group.search_spaces
    assert {"model.flat.x", "model.flat.kind"} in [set(group) for group in groups]


def test_derived_seeds_depend_on_every_number_and_never_change():
    seeds = {derive_seed(seed, a, b) for seed in range(5) for a in range(5) for b in range(5)}
    assert len(seeds) == 125
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert derive_seed(0, 1) == derive_seed(0, 1) != derive_seed(0, 1, 0)
