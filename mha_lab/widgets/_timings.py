"""The timings panel: what every head count takes on this machine, explicit and fused, beside what was predicted."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import torch
import traitlets

from mha_lab import _data, cost, measure
from mha_lab.widgets._base import plural

TOKENS = 16, 128, 512
SECONDS = {16: 2.0, 128: 5.0, 512: 15.0}  # after which no further round of samples begins
MOST_ROUNDS = 15
SLICE, REST = 0.05, 0.01  # seconds of measuring, or one sample; then the kernel does what else has come in
TELL = 0.2  # seconds between two words on the progress
RECORDED = _data.FOLDER / "timings.json"
RECORDED_SHA256 = "2b4595704b2b1c90e744cae28399f7c4d06b4bbfc47cea97c37797e5e77ffa00"

_MEASURED = {}  # (d_model, tokens): the last result in this kernel, for the explorers of cells that run again


class Timings(traitlets.HasTraits):
    """What the panel shows, and the measurement behind its button. State of an explorer that has d_model and num_heads.

    timings         a result for each number of tokens: {d_model, tokens, machine, device, threads, recorded, left_out,
                    rows: [{heads, path, predicted, median, q1, q3, runs}], note}, times in seconds, None where there
                    is no sample; note says all but the rows in words
    timing_tokens   which of them is on show, and measured next
    timings_open    whether the chart stands beside the maps, or is folded into a line
    measuring       whether a measurement runs; progress (0 to 1) and seconds_left say how far it is
    timing_message  how it went, in words
    """

    timings = traitlets.List(traitlets.Dict()).tag(sync=True)
    timing_tokens = traitlets.Enum(TOKENS, 512).tag(sync=True)
    timings_open = traitlets.Bool(True).tag(sync=True)
    measuring = traitlets.Bool(False).tag(sync=True)
    progress = traitlets.Float(0.0).tag(sync=True)
    seconds_left = traitlets.Float(0.0).tag(sync=True)
    timing_message = traitlets.Unicode().tag(sync=True)
    _patience = traitlets.Float(5.0).tag(sync=True)  # seconds without a word, after which the page says so

    _loop = _task = None
    _turn = None  # one measurement at a time, whichever explorer asks: two would slow each other

    def measure(self, num_tokens: int | None = None) -> dict:
        """Time every head count at 16, 128 or 512 tokens (timing_tokens unless given), explicit and fused, and give the
        result, an entry of `timings`. The panel's button does the same between the kernel's other work.

        Raises MemoryError where the layer itself does not fit, ValueError where the explorer shows recordings."""
        for _ in self._steps(num_tokens):
            pass
        return _MEASURED[self.d_model, self.timing_tokens]

    def cancel(self) -> None:
        """End the measurement that runs, after its present sample, and keep what it has."""
        if self.measuring:
            Timings._turn = None

    def _show_kept(self):
        """The recorded timings of this d_model, or what was measured since the kernel started."""
        recorded, trouble = [], ""
        try:
            recorded = recorded_timings()
        except (OSError, ValueError) as problem:  # the maps do without
            trouble = f"There are no recorded timings: {problem}"
        results = {(r["d_model"], r["tokens"]): r for r in recorded} | _MEASURED
        self.timings = [r for (d_model, _), r in sorted(results.items()) if d_model == self.d_model]
        mine = [str(r["tokens"]) for r in self.timings if not r["recorded"]]
        self.timing_message = f"Your last timings are shown ({', '.join(mine)} tokens)." if mine else trouble
        with suppress(RuntimeError):  # in a script or a test there is none
            self._loop = asyncio.get_running_loop()
        self.on_msg(self._on_timing_message)

    def _on_timing_message(self, _, content, buffers):
        """The button, or Cancel, was pressed."""
        if not isinstance(content, dict):
            return
        if content.get("kind") == "cancel":
            self.cancel()
        if content.get("kind") != "measure" or self.measuring or (self._task and not self._task.done()):
            return
        if self._loop and self._loop.is_running():
            # The loop in which the cell made this explorer, though a message may come on another thread (a subshell):
            # two threads would undo each other's number of threads, and a cell's work would lie in the measurement.
            self._task = asyncio.run_coroutine_threadsafe(self._measure_in_slices(), self._loop)
        else:
            with suppress(Exception):  # told in timing_message
                self.measure()

    async def _measure_in_slices(self):
        with suppress(Exception):  # told in timing_message
            rested = time.perf_counter()
            for _ in self._steps():
                if time.perf_counter() - rested > SLICE:
                    await asyncio.sleep(REST)
                    rested = time.perf_counter()

    def _steps(self, num_tokens=None) -> Iterator[None]:
        if self.source == "recorded":
            raise ValueError("a trained model's head count is its own: use HeadExplorer.from_projection.")
        self.timing_tokens = self.timing_tokens if num_tokens is None else num_tokens
        n, turn, result = self.timing_tokens, object(), None
        Timings._turn = turn
        self._tell(None, measuring=True, progress=0.0, seconds_left=0.0, timing_message="Calibrating the prediction …")
        spent, shown, ending = 0.0, 0.0, "The measurement was interrupted."
        try:
            for result, spent, left in measure_heads(self.d_model, n):
                if result and time.perf_counter() - shown > TELL:
                    words = f"Measuring at {n} tokens …"
                    self._tell(result, progress=spent / (spent + left), seconds_left=left, timing_message=words)
                    shown = time.perf_counter()
                yield
                if Timings._turn is not turn:
                    break
            ending = _summary(result, n, Timings._turn is turn, spent)
        except Exception as problem:
            ending = f"The measurement stopped: {str(problem) or type(problem).__name__}"
            raise
        finally:
            self._tell(result, measuring=False, timing_message=ending)

    def _tell(self, result, **state):
        """Show and keep a result: where it has no sample yet, the earlier ones of this kernel stand."""
        with self.hold_sync():
            if result and any(row["runs"] for row in result["rows"]):
                key = result["d_model"], result["tokens"]
                earlier = {(row["heads"], row["path"]): row for row in _MEASURED.get(key, {}).get("rows", ())}
                rows = [row if row["runs"] else earlier.get((row["heads"], row["path"]), row) for row in result["rows"]]
                _MEASURED[key] = _with_note({**result, "rows": rows})
                others = [r for r in self.timings if r["tokens"] != result["tokens"]]
                self.timings = sorted([*others, _MEASURED[key]], key=lambda r: r["tokens"])
            for name, value in state.items():
                setattr(self, name, value)


def measure_heads(
    d_model: int, num_tokens: int, *, device: str | None = None
) -> Iterator[tuple[dict | None, float, float]]:
    """Time both paths at every head count, a step at a time: after each the result so far (None while the machine is
    calibrated), the seconds that it took, and the seconds that are left.

    On one thread, without gradients; between two steps both are as the caller has them. On a GPU where there is one."""
    device = device or str(torch.accelerator.current_accelerator(check_available=True) or "cpu")
    steps, spent = _steps(d_model, num_tokens, device), 0.0
    while True:
        began = time.perf_counter()
        with measure.single_thread(), torch.no_grad():
            step = next(steps, None)
        if step is None:
            return
        result, *predicted = step
        spent += time.perf_counter() - began if result else 0.0
        yield result, spent, seconds_left(spent, *predicted, SECONDS[num_tokens])


def seconds_left(spent: float, done: float, least: float, whole: float, limit: float) -> float:
    """Of a measurement that has taken `spent` seconds for what was predicted to take `done`, and is to end after
    `whole`; or when the limit is reached, but not before `least`."""
    slower = (spent + whole / 20) / (done + whole / 20)  # at first the prediction counts more
    return min(slower * (whole - done), max(limit - spent, slower * (least - done), 0.0))


def _steps(d_model, num_tokens, device):
    for machine in measure.calibrate_in_steps(0.5, device=device):
        if machine is None:
            yield None, 0.0, 1.0, 1.0
    layers, left_out = _layers(d_model, num_tokens, device)
    x = torch.ones(1, num_tokens, d_model, device=device)
    candidates, predicted, rows = {}, {}, {}
    for heads, layer in layers.items():
        for path in "explicit", "fused":
            key = heads, path
            candidates[key] = partial(layer, x, need_weights=path == "explicit")
            predicted[key] = cost.predict(machine, 1, num_tokens, d_model, heads, path=path)
            rows[key] = {"heads": heads, "path": path, "predicted": _short(predicted[key]), "runs": 0}
            rows[key] |= dict.fromkeys(("median", "q1", "q3"))
    one_round, limit = sum(predicted.values()), SECONDS[num_tokens]
    rounds = max(3, min(MOST_ROUNDS, int(limit / one_round) - 2))  # the warm-up is as long as two
    result = {"d_model": d_model, "tokens": num_tokens, "machine": machine.name, "device": machine.device}
    result |= {"threads": machine.threads, "recorded": False, "left_out": left_out}
    done = 0.0
    budget = limit / len(candidates)
    for key, timing in measure.compare_in_steps(candidates, repeats=rounds, budget=budget, device=device):
        done += predicted[key] * (1 if timing else 2)
        if timing:
            rows[key] |= {name: _short(getattr(timing, name)) for name in ("median", "q1", "q3")}
            rows[key]["runs"] = timing.repeats
        yield {**result, "rows": [dict(row) for row in rows.values()]}, done, 5 * one_round, (2 + rounds) * one_round


def _layers(d_model, num_tokens, device):
    """A layer for each head count, all on the same weights; and in words which would not fit in memory."""
    measure.require_memory(4 * cost.parameters(d_model, 1), device=device)
    fitting, missing = [], {}
    for heads in (h for h in range(1, d_model + 1) if d_model % h == 0):
        try:
            measure.require_memory(cost.explicit_peak_bytes(1, num_tokens, d_model, heads), device=device)
        except MemoryError as problem:
            missing[heads] = str(problem)
        else:
            fitting.append(heads)
    if not fitting:
        raise MemoryError(next(iter(missing.values())))
    counts = ", ".join(map(str, missing))
    left_out = f"Left out: {counts} heads. {next(iter(missing.values()))}" if missing else ""
    return measure.constant_layers(d_model, fitting, device=device), left_out


def _short(seconds):
    return float(f"{seconds:.4g}")


def _summary(result, num_tokens, ended, seconds):
    """How a measurement went, in words."""
    measured = {row["heads"] for row in result["rows"] if row["runs"]} if result else ()
    what = f"{plural(len(measured), 'head count')} at {num_tokens} tokens"
    if not ended:
        return f"Cancelled: {what} measured and kept." if measured else "Cancelled before the first sample."
    return f"Measured {what} in {seconds:.1f} s."


def _with_note(result):
    runs = max(row["runs"] for row in result["rows"])
    note = f"{'Recorded on' if result['recorded'] else 'Measured here:'} {result['machine']} ({result['device']}, "
    note += f"{plural(result['threads'], 'thread')}). "
    note += f"Points: medians of {runs} runs, bars: their quartiles" if runs > 1 else "Points: one run each, so far"
    return {**result, "note": f"{note}; dashed: predicted. {result['left_out']}".rstrip()}


def recorded_timings() -> list[dict]:
    """The timings in mha_lab/data/, verified: what data/record_timings.py measured on the machine they name."""
    return [_with_note(result) for result in json.loads(_data.read(RECORDED, RECORDED_SHA256))]
