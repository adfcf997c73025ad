"""shared/kernel.js in a real JupyterLab: an answer, one that is late, one that will never come, and a restart."""

from playwright.sync_api import expect

SHOW = '''import time
from pathlib import Path
import mha_lab
from mha_lab.widgets._life import Living

class Asked(Living):
    """Three buttons that ask the kernel, and the words that come of it."""
    _esm = (Path(mha_lab.__file__).parents[1] / "frontend/src/shared/kernel.js").read_text() + """
    export default { render({ model, el }) {
        const kernel = kernelOf(model);
        const said = Object.assign(document.createElement("p"), { className: "said" });
        const say = (text) => (said.textContent = text);
        model.on("msg:custom", () => (kernel.answered(), say("answered")));
        kernel.onLost((words) => say("lost: " + words));
        for (const message of ["quick", "slow", "broken"]) {
            const button = Object.assign(document.createElement("button"), { textContent: message });
            button.onclick = () => (say("…"), kernel.ask(message, { within: 500, onSilence: say }));
            el.append(button);
        }
        el.append(said);
    } };"""

    def __init__(self):
        super().__init__()
        self.on_msg(self._answer)

    def _answer(self, _, message, buffers):
        if message == "slow":
            time.sleep(3)
        if message == "broken":
            raise RuntimeError("as if it had been interrupted")
        self.send("here")

Asked()'''


def test_the_page_knows_what_became_of_its_question(own_lab):
    output = own_lab.show(SHOW)
    said = output.locator(".said")
    output.get_by_role("button", name="quick").click()
    expect(said).to_have_text("answered")
    output.get_by_role("button", name="slow").click()
    expect(said).to_contain_text("The kernel has not answered yet")
    expect(said).to_have_text("answered")
    output.get_by_role("button", name="broken").click()
    expect(said).to_contain_text("The kernel stopped without an answer")
    output.get_by_role("button", name="quick").click()
    expect(said).to_have_text("answered")
    own_lab.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    expect(said).to_contain_text("lost: The kernel was restarted")
    output.get_by_role("button", name="quick").click()
    expect(said).to_contain_text("run its cell again")
    own_lab.run_all()
    output.get_by_role("button", name="quick").click()
    expect(said).to_have_text("answered")
