"""ModelTable: the published models as a table that one can sort and ask, and as dots of any two of its numbers."""

import weakref
from collections.abc import Callable, Iterable, Mapping

import traitlets

from mha_lab import _door
from mha_lab.published import FEATURES, MODELS, Model
from mha_lab.widgets import _model_table_picture
from mha_lab.widgets._base import STATIC, Explorer, OneOf, plural
from mha_lab.widgets._cost_sizes import layer_of
from mha_lab.widgets._model_rows import COLUMNS, NUMBERS, answer, key_of, no_cache, no_cost, row_of, status_in_words
from mha_lab.widgets.cost_explorer import CostExplorer
from mha_lab.widgets.kv_cache_explorer import DECODERS, KVCacheExplorer

MOST_MODELS = 200


class Asked(traitlets.Dict):
    """{feature: whether the models are to have it}; a name, or a list of them, stands for those that have it."""

    def validate(self, obj, value):
        if isinstance(value, str):
            value = [value]
        if isinstance(value, (list, tuple)):
            value = {name: True for name in value if isinstance(name, str) or self.error(obj, value)}
        value = super().validate(obj, dict(value) if isinstance(value, Mapping) else value)
        for name, wanted in value.items():
            if name not in FEATURES:
                raise traitlets.TraitError(f"ask={_door._short(name)}: what can be asked is {', '.join(FEATURES)}.")
            if not isinstance(wanted, bool):
                raise traitlets.TraitError(f"ask has {name}={_door._short(wanted)}; it must be True or False.")
        return value

    def error(self, obj, value, error=None, info=None):
        raise traitlets.TraitError(
            f"ask is {_door.told(value)}; it must be a dict, such as {{'gate': True, 'linear': False}}, or a name."
        )


class ModelTable(Explorer):
    """The published models (`mha_lab.published`), a row each, to be sorted by any column and asked what is special.

        ModelTable(sort="num_heads", ask="gate")
        ModelTable(ask={"window": True, "latent": False}, across="d_model", up="d_head")

    A click on a head sorts, a second one turns the order round; a click on a feature asks for the models that have it,
    a second one for those that have not. A row opens: what the model is, its source, and how sure its numbers are.
    Beside it stand all models as dots of two numbers, of which those that answer are lit. "?" is what a source does not
    say; such a model answers neither question. All this needs no kernel.

    Every state is a trait: model (the open row; "" for none), pointed (the row that one points at), sort (one of
    `COLUMNS` or `published.FEATURES`), descending, ask, across and up (of `NUMBERS`). With a kernel,

        table.cost()        # a CostExplorer that follows the open row
        table.cache()       # a KVCacheExplorer that does
    """

    _esm = STATIC / "model_table.js"
    _css = STATIC / "model_table.css"
    fixed = "_models", "_columns", "_features"

    model = traitlets.Unicode("").tag(sync=True)
    pointed = traitlets.Unicode("").tag(sync=True)
    sort = OneOf([*COLUMNS, *FEATURES], "year").tag(sync=True)
    descending = traitlets.Bool(False).tag(sync=True)
    ask = Asked().tag(sync=True)
    across = OneOf(list(NUMBERS), "d_model").tag(sync=True)
    up = OneOf(list(NUMBERS), "num_heads").tag(sync=True)
    _models = traitlets.List().tag(sync=True)
    _columns = traitlets.List([[name, *words] for name, words in COLUMNS.items()]).tag(sync=True)
    _features = traitlets.List([[name, *words] for name, words in FEATURES.items()]).tag(sync=True)

    def __init__(
        self,
        models: Iterable[Model] | None = None,
        *,
        sort: str = "year",
        descending: bool = False,
        ask: str | Iterable[str] | Mapping[str, bool] = (),
        model: str = "",
        across: str = "d_model",
        up: str = "num_heads",
    ):
        """models are all published ones unless given.

        Raises TypeError or ValueError for models that are none, TraitError for what cannot be sorted by or asked."""
        models = MODELS if models is None else _door.several("models", models, "published.Model")
        for m in models:
            _door.instance("one of models", m, Model, "a published.Model")
        self._of = {m.name: m for m in models}
        if not 1 <= len(models) <= MOST_MODELS:
            raise ValueError(f"there are {len(models):,} models: the table shows 1 to {MOST_MODELS}.")
        if len(self._of) < len(models):
            raise ValueError(f"there are {len(models)} models and {len(self._of)} names: each needs a name of its own.")
        super().__init__(
            _models=[row_of(m) for m in models],
            model=model,
            sort=sort,
            descending=descending,
            ask=ask if isinstance(ask, (str, Mapping)) else list(_door.several("ask", ask, "names of features")),
            across=across,
            up=up,
        )

    @property
    def answers(self) -> list[str]:
        """The models that answer what is asked, by name, in the order of the table."""
        found = [row for row in self._models if answer(row, self.ask)]
        keyed = [(key_of(row, self.sort), row["name"]) for row in found]
        known = [pair for pair in keyed if pair[0] is not None]
        known.sort(key=lambda pair: pair[0], reverse=self.descending)  # equal ones stay as they were, both ways
        return [name for _, name in known] + [name for key, name in keyed if key is None]

    def cost(self, **options) -> CostExplorer:
        """A CostExplorer of the open row's layer, which follows it: opening another row sets its sizes.

        options are CostExplorer's, for where no row is open. It stays as it is at a model that it cannot show; the
        open row says why."""
        return self._leading(CostExplorer(**options), lambda m: None if no_cost(m) else _layer(m))

    def cache(self, **options) -> KVCacheExplorer:
        """A KVCacheExplorer of the open row, which follows it. options are KVCacheExplorer's.

        It stays as it is at a model that it cannot show; the open row says why. Raises ValueError where it can show
        none of the models."""
        all_published = tuple(self._of.values()) == MODELS
        models = DECODERS if all_published else tuple(m for m in self._of.values() if not no_cache(m))
        names = [m.name for m in models]
        first = [name for name in (self.model, "Llama-3-8B", *names) if name in names]
        explorer = KVCacheExplorer(**{"models": models, "model": next(iter(first), ""), **options})
        return self._leading(explorer, lambda m: None if no_cache(m) else {"model": m.name})

    def _leading(self, explorer, sizes_of: Callable[[Model], dict | None]):
        """The explorer, which takes the open row's sizes at every change, as long as somebody holds it."""
        held = weakref.ref(explorer)

        def lead(_=None):
            led, m = held(), self._of.get(self.model)
            if led is None:
                self.unobserve(lead, "model")
            elif m is not None and (sizes := sizes_of(m)) is not None:
                with led.hold_trait_notifications():  # sizes that go together are judged together
                    for name, value in sizes.items():
                        setattr(led, name, value)

        self.observe(lead, "model")
        if not self.model or not isinstance(explorer, KVCacheExplorer):  # that one was made with it, and its options
            lead()
        return explorer

    def picture(self) -> tuple[bytes, int]:
        """The rows that answer, and the plot, as PNG, and its width in CSS pixels."""
        return _model_table_picture.draw(self)

    def __repr__(self):
        sort = f", by {(COLUMNS | FEATURES)[self.sort][0]}".replace("\n", " ")
        way = ", the other way round" if self.descending else ""
        opened = f", {self.model} open" if self.model else ""
        return f"ModelTable({status_in_words(self._models, self.ask)}{sort}{way}{opened})"

    @traitlets.validate("model", "pointed")
    def _is_a_row(self, proposal):
        name = proposal["value"]
        if name and name not in self._of:
            raise traitlets.TraitError(
                f"{proposal['trait'].name}={_door._short(name)} is none of the {plural(len(self._of), 'model')}: "
                f"{', '.join(self._of)}."
            )
        return name


def _layer(m: Model) -> dict[str, object]:
    """What CostExplorer shows of a model."""
    shown = layer_of(m)
    return {name: shown[name] for name in ("n", "d_model", "num_heads", "num_kv_heads", "d_head", "latent", "bias")}
