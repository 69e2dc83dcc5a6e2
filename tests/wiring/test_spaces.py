"""Search spaces: what the code declares, what a file changes, what the log cuts."""

from __future__ import annotations

from typing import Annotated

import pluggy
import pytest

from recsmith.contracts import hooks
from recsmith.contracts.config import Choice, Config
from recsmith.contracts.content import ItemContent
from recsmith.contracts.domains import Categorical, Float, Int, Narrowed, OneOf
from recsmith.contracts.errors import PluginError, SpaceError
from recsmith.contracts.plugins import EncoderSpec, FuserSpec, ModelSpec, PartSpec
from recsmith.contracts.space import Fixed, OptionNode, Parameter, SearchSpace
from recsmith.contracts.training import Training
from recsmith.wiring.documents import Document, read_document
from recsmith.wiring.registry import Registry, freeze, offers_of
from recsmith.wiring.spaces import resolve_space


class CountConfig(Config):
    half_life: Annotated[float, Float(1.0, 365.0, log=True)] = 30.0
    count: Annotated[int, Int(1, 9, step=2)] = 3
    weighting: Annotated[str, Categorical(("all_time", "window"))] = "all_time"
    top: int = 100


class NetConfig(Config):
    training: Annotated[Training, Narrowed({"batch_size": Int(16, 64)})] = Training(
        batch_size=32, loss=Choice(name="sampled", params={"negatives": 8})
    )


class ContentConfig(Config):
    content: ItemContent = ItemContent()


class SampledConfig(Config):
    negatives: Annotated[int, Int(1, 512, log=True)] = 64
    sampler: Annotated[Choice, OneOf("samplers")] = Choice(name="uniform")


def unbuildable(config, context):
    raise AssertionError("a space needs no built plugin")


def part(name, config=Config, **more):
    return PartSpec(name=name, api_version=1, build=unbuildable, config=config, **more)


class Plugin:
    @staticmethod
    @hooks.hookimpl
    def provide_models():
        ranks = frozenset({"ranking", "new_users"})
        return [
            ModelSpec(
                name="popular",
                api_version=1,
                build=unbuildable,
                training="closed_form",
                config=CountConfig,
                offers=ranks,
            ),
            ModelSpec(
                name="net",
                api_version=1,
                build=unbuildable,
                training="gradient",
                examples="sequences",
                config=NetConfig,
                needs=frozenset({"order"}),
                offers=ranks,
            ),
            ModelSpec(
                name="content",
                api_version=1,
                build=unbuildable,
                training="closed_form",
                config=ContentConfig,
                needs=frozenset({"item_features"}),
                offers=frozenset({"ranking", "new_items"}),
            ),
        ]

    @staticmethod
    @hooks.hookimpl
    def provide_losses():
        ranking = frozenset({"ranking"})
        return [
            part("sampled", SampledConfig, offers=ranking),
            part("full", offers=ranking, needs=frozenset({"small_catalogue"})),
            part("squared", offers=frozenset({"ratings"})),
        ]

    @staticmethod
    @hooks.hookimpl
    def provide_samplers():
        return [part("uniform")]

    @staticmethod
    @hooks.hookimpl
    def provide_schedules():
        return [part("constant")]

    @staticmethod
    @hooks.hookimpl
    def provide_encoders():
        return [
            EncoderSpec(
                name="words",
                api_version=1,
                build=unbuildable,
                roles=frozenset({"text"}),
                default_for=frozenset({"text"}),
            )
        ]

    @staticmethod
    @hooks.hookimpl
    def provide_fusers():
        return [FuserSpec(name="concatenate", api_version=1, build=unbuildable)]


@pytest.fixture(scope="module")
def registry() -> Registry:
    manager = pluggy.PluginManager("recsmith")
    manager.add_hookspecs(hooks)
    manager.register(Plugin, name="test")
    return freeze({name: offers_of(manager, name) for name, _ in manager.list_name_plugin()}, {})


LOG = frozenset({"order", "timestamps", "item_features", "small_catalogue"})
COLUMNS = {"items": {"title": "text", "photo": "image"}, "users": {}}


def resolve(
    registry, content=None, overrides=None, scenario="next_item", capabilities=LOG, columns=COLUMNS
) -> SearchSpace:
    return resolve_space(
        registry,
        Document("mine.yaml", content or {}),
        overrides or {},
        scenario=scenario,
        capabilities=capabilities,
        columns=columns,
    )


def at(space: SearchSpace, path: str):
    node = space.root
    for name in path.split(".")[1:]:
        node = node.options[name] if isinstance(node, OptionNode) else node.fields[name]
    return node


def test_every_field_with_a_domain_is_a_parameter_under_its_full_path(registry):
    space = resolve(registry)
    assert at(space, "model.popular.half_life") == Parameter(
        path="model.popular.half_life", domain=Float(1.0, 365.0, log=True), default=30.0
    )
    assert at(space, "model.popular.top") == Fixed(path="model.popular.top", value=100)


def test_a_group_of_settings_that_is_given_in_part_keeps_the_rest_of_its_host(registry):
    """The network's own batch size and loss, not those of `Training`."""
    config = registry.config("models", Choice(name="net", params={"training": {"epochs": 2}}))
    assert config.training == NetConfig().training.model_copy(update={"epochs": 2})
    assert config.training.batch_size != Training().batch_size


def test_a_nested_configuration_keeps_the_defaults_and_domains_of_its_host(registry):
    space = resolve(registry)
    batch = at(space, "model.net.training.batch_size")
    assert (batch.domain, batch.default) == (Int(16, 64), 32)
    loss = at(space, "model.net.training.loss")
    assert (set(loss.options), loss.default) == ({"sampled", "full"}, "sampled")
    assert at(space, "model.net.training.loss.sampled.negatives").default == 8
    assert at(space, "model.net.training.loss.sampled.sampler").path == "model.net.training.loss.sampled.sampler"


def test_a_column_gets_the_encoders_of_its_role_and_a_column_without_one_gets_none(registry):
    encoders = at(resolve(registry), "model.content.content.encoders")
    assert list(encoders.fields) == ["title"]
    assert (set(encoders.fields["title"].options), encoders.fields["title"].default) == ({"none", "words"}, "words")


def test_what_the_log_lacks_is_left_out_with_its_reason(registry):
    space = resolve(registry, capabilities=frozenset())
    assert set(space.root.options) == {"popular"}
    reasons = {left.path: left.reason for left in space.left_out}
    assert reasons["model.net"].startswith("the log has no order")
    assert reasons["model.content"] == "the log has no item columns that an encoder reads"


def test_a_large_catalogue_loses_the_loss_that_cannot_serve_it(registry):
    space = resolve(registry, capabilities=LOG - {"small_catalogue"})
    assert set(at(space, "model.net.training.loss").options) == {"sampled"}


def test_a_scenario_keeps_the_models_that_can_do_it(registry):
    assert set(resolve(registry, scenario="cold_item").root.options) == {"content"}
    assert set(resolve(registry, scenario="cold_user").root.options) == {"popular", "net"}
    with pytest.raises(
        SpaceError, match=r"no model is left for this log in the scenario rating .*it is not for ratings"
    ):
        resolve(registry, scenario="rating")


def test_a_file_narrows_widens_pins_and_opens(registry):
    space = resolve(
        registry,
        {
            "model": ["popular", "net"],
            "model.popular.half_life": {"low": 40.0, "high": 900.0},
            "model.popular.count": [1, 5],
            "model.popular.weighting": "window",
            "model.popular.top": {"low": 10, "high": 1000, "log": True},
            "model.net.training.epochs": 20,
        },
    )
    assert set(space.root.options) == {"popular", "net"}
    half_life = at(space, "model.popular.half_life")
    assert (half_life.domain, half_life.default) == (Float(40.0, 900.0), 40.0)
    assert at(space, "model.popular.count").domain == Categorical((1, 5))
    assert at(space, "model.popular.weighting") == Fixed(path="model.popular.weighting", value="window")
    assert at(space, "model.popular.top").domain == Int(10, 1000, log=True)
    assert at(space, "model.net.training.epochs").value == 20


def test_keys_may_be_nested_and_a_star_stands_for_every_name(registry):
    nested = resolve(registry, {"model": {"net": {"training": {"patience": 3}}}})
    starred = resolve(registry, {"model.*.training.patience": 3})
    assert at(nested, "model.net.training.patience") == at(starred, "model.net.training.patience")
    assert at(starred, "model.net.training.patience").value == 3


def test_set_wins_over_the_file_and_names_narrowed_away_are_no_error(registry):
    space = resolve(registry, {"model.popular.count": 1}, {"model.popular.count": 9, "model": "popular"})
    assert at(space, "model.popular.count").value == 9
    assert set(resolve(registry, {"model": "net", "model.popular.count": 1}).root.options) == {"net"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            {"model.popular.half_lief": 3},
            "mine.yaml: model.popular: no parameter 'half_lief'. Did you mean 'half_life'",
        ),
        ({"modle": ["net"]}, "mine.yaml: no name 'modle'. Did you mean 'model'?"),
        ({"model": ["nett"]}, "mine.yaml: model: no option 'nett'. Did you mean 'net'?"),
        ({"model": []}, "mine.yaml: model: give one name or a list of names"),
        ({"model.popular": 3}, "mine.yaml: model.popular: give its settings by name"),
        ({"model.popular.half_life": "long"}, "mine.yaml: model.popular.half_life: .*valid number"),
        ({"model.popular.half_life": {"low": 9}}, "a range is written"),
        ({"model.popular.half_life": {"low": 9, "high": 3}}, "not a range of numbers"),
        ({"model.popular.half_life": {"low": 0, "high": 3, "log": True}}, "not a range of numbers"),
        ({"model.popular.count": {"low": 0.5, "high": 3}}, "model.popular.count: .*valid integer"),
        ({"model.popular.count": True}, "yes and no are not allowed here"),
        ({"model.popular.count": [1, 1]}, "choices must be distinct"),
        ({"model.*.no_such": 1}, "no name there has 'no_such' below it"),
        ({"model.popular.count.deep": 1}, "no parameter 'deep'"),
        ({"model": {"popular": {"cuont": 1}}}, "no parameter 'cuont'. Did you mean 'count'?"),
    ],
)
def test_a_wrong_line_is_refused_with_a_located_sentence(registry, content, sentence):
    with pytest.raises(SpaceError, match=sentence):
        resolve(registry, content)


def test_a_file_is_located_by_line(registry, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("# a comment\nmodel:\n  popular:\n    half_lief: 3\n")
    with pytest.raises(SpaceError, match=r"mine\.yaml:4: model\.popular: no parameter 'half_lief'"):
        resolve_space(
            registry, read_document(file, SpaceError), {}, scenario="next_item", capabilities=LOG, columns=COLUMNS
        )


def test_a_space_survives_json(registry):
    space = resolve(registry, {"model.popular.count": [1, 5]})
    assert SearchSpace.model_validate_json(space.model_dump_json()) == space


def test_a_default_outside_its_domain_is_the_plugins_fault():
    class Wrong(Config):
        count: Annotated[int, Int(1, 9)] = 10

    class Broken:
        @staticmethod
        @hooks.hookimpl
        def provide_models():
            return [ModelSpec(name="m", api_version=1, build=unbuildable, training="closed_form", config=Wrong)]

    manager = pluggy.PluginManager("recsmith")
    manager.add_hookspecs(hooks)
    manager.register(Broken, name="broken")
    with pytest.raises(PluginError, match=r"m\.count: the default 10 lies outside its domain"):
        offers_of(manager, "broken")
