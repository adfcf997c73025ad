"""An explorer's life in a notebook: the cells that show it, the pages that hold it, and what a page may tell it.

A cell that runs again has made a new explorer, and the one that it showed before is on show nowhere. That one rests:
its connection is closed, so that neither page, kernel nor the saved notebook grow by a run. Should somebody have kept
it and show it again, it wakes with the state it had.
"""

import weakref

import anywidget
import traitlets
from IPython import get_ipython

TOLD = {"can_read", "can_predict", "how_to_read", "loaded"} | {"timings", "measuring", "progress", "seconds_left"}
"""Traits that say how Python is doing. Like all whose names begin with _, they are for the page to read."""

_awake: "weakref.WeakSet[Living]" = weakref.WeakSet()
_watched: "weakref.WeakSet" = weakref.WeakSet()  # shells that tell when a cell begins


class Living(anywidget.AnyWidget):
    """An anywidget that rests when it is on show nowhere, and that two pages can hold at once."""

    fixed: tuple[str, ...] = ()
    """Traits that say what is shown. The page reads them, and nobody changes them once the explorer is made."""

    _made_in: str | None = None  # the cell that made it, until that cell runs again
    _lent = False  # others know it by its id, or no cell is known: it never rests
    _resting = False

    def __init__(self, **traits):
        self._shown_in: set[str] = set()
        self._pages: set[str] = set()
        super().__init__(**traits)
        self._given = {name: getattr(self, name) for name in self.fixed}
        for name in self.fixed:
            self._register_validator(_unchanged, (name,))
        self._made_in = _cell()
        self._lent = self._made_in is None
        _awake.add(self)
        _watch(get_ipython())

    # on show, and not ------------------------------------------------------------------------------------------------

    def _repr_mimebundle_(self, **kwargs):
        if self._resting:
            self._wake()
        if cell := _cell():
            self._shown_in.add(cell)
        lent = self._lent or cell is None
        bundle = super()._repr_mimebundle_(**kwargs)  # asks for model_id
        self._lent = lent
        return bundle

    @property
    def model_id(self):
        """The id under which pages know it. Who has it may show it anywhere (a box of widgets does)."""
        if self._resting:
            self._wake()
        self._lent = True
        return super().model_id

    def open(self):
        lent = self._lent
        super().open()  # asks for model_id
        self._lent = lent

    def _cell_begins(self, cell: str) -> None:
        """What the cell showed has left the page."""
        if self._made_in == cell:
            self._made_in = None
        self._shown_in.discard(cell)
        if not (self._made_in or self._shown_in or self._lent or self._resting):
            self._rest()

    def _rest(self) -> None:
        for widget in (self, self.layout):
            if widget is None or widget.comm is None:
                continue
            widget.close()
            widget.__dict__.pop("_repr_mimebundle_", None)  # close() hides it, for good
            widget._model_id = None
        self._lent = False
        self._resting = True
        _awake.discard(self)

    def _wake(self) -> None:
        self._resting = False
        if self.layout is not None:
            self.layout.open()
        self.open()
        _awake.add(self)

    # pages -----------------------------------------------------------------------------------------------------------

    def get_state(self, *arguments, **options):
        self._pages.add(_session())  # a page that opens asks for it
        return super().get_state(*arguments, **options)

    def trait_metadata(self, traitname, key, default=None):
        """ipywidgets asks for "echo_update" whether pages are told what one of them just said. A page alone is not:
        while a gesture lasts, it is ahead of Python, and an echo of an earlier step would take it back. Two pages have
        to agree."""
        if key == "echo_update":
            return len(self._pages - {""}) > 1
        return super().trait_metadata(traitname, key, default)

    def set_state(self, sync_data):
        """What a page says. What it may not say, or what is no state, is refused, and the page is told what holds."""
        self._pages.add(_session())
        try:
            for name in sync_data:
                if name in TOLD or (name.startswith("_") and name not in self.fixed):
                    raise traitlets.TraitError(f"{name} is what Python tells the page; the page cannot set it.")
            super().set_state(sync_data)
        except Exception:
            self.send_state([name for name in sync_data if name in self.keys])
            raise


MOST_LETTERS = 600  # of a message: some ten lines on the page

WHATEVER = Exception, KeyboardInterrupt, SystemExit
"""What somebody else's function may raise when a page asks for it: on a click, an exit would take the kernel along, and
an interrupt would leave the page without an answer."""


def said(problem: BaseException) -> str:
    """What was raised, in the words that a page shows."""
    if isinstance(problem, KeyboardInterrupt):
        return "It was interrupted. What you typed stays: ask once more."
    if isinstance(problem, SystemExit):
        return "The model called sys.exit() instead of answering; the kernel goes on."
    return shortened(str(problem) or type(problem).__name__)


def shortened(words: str) -> str:
    """Somebody else's words, as many as a page has room for."""
    return words if len(words) <= MOST_LETTERS else f"{words[:MOST_LETTERS]}…"


def _unchanged(explorer, proposal):
    name, value = proposal["trait"].name, proposal["value"]
    if value != explorer._given[name]:
        raise traitlets.TraitError(f"{name} belongs to what this explorer shows and stays as it is: make another one.")
    return value


def _message() -> dict:
    """What the kernel works at: a cell to be run, or what a page said; {} where there is no kernel."""
    shell = get_ipython()
    return (getattr(shell, "get_parent", dict)() or {}) if shell else {}


def _cell() -> str | None:
    """The id of the cell that runs; None where no cell runs, or the notebook does not tell which."""
    return _message().get("metadata", {}).get("cellId")


def _session() -> str:
    """Which page speaks; "" where none does."""
    return _message().get("header", {}).get("session", "")


def _watch(shell) -> None:
    if shell is not None and shell not in _watched:
        _watched.add(shell)
        shell.events.register("pre_run_cell", _a_cell_begins)


def _a_cell_begins(_) -> None:
    if cell := _cell():
        for explorer in list(_awake):
            explorer._cell_begins(cell)
