# A class's hub on one machine. README.md, in this folder, says how to start it and what each choice means.
#
# Everything that a class makes lies in one folder, my_class/ in the lab's own unless MHA_LAB_CLASSROOM names another:
# students.txt, which you write, and homes/, shared/ and what the hub remembers.

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLASSROOM = ROOT / "classroom"
CLASS = Path(os.environ.get("MHA_LAB_CLASSROOM", ROOT / "my_class"))
sys.path.insert(0, str(CLASSROOM))

from class_spawner import NAME, ClassSpawner, hidden, one_user  # noqa: E402

c = get_config()  # noqa: F821


def names(path):
    """The names in a file, one a line; what follows a # is a remark."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found = [line.partition("#")[0].strip().lower() for line in lines]
    for name in filter(None, found):
        if not NAME.fullmatch(name):
            sys.exit(f"{path}: {name!r} can be no student's name: letters a to z, digits, and . _ - between.")
    return {name for name in found if name}


students, teachers = names(CLASS / "students.txt"), names(CLASS / "teachers.txt")
if not students | teachers:
    sys.exit(f"Nobody may log in yet: write the students' names, one a line, into {CLASS / 'students.txt'}.")

os.umask(0o077)  # passwords and the hub's memory are nobody else's
for folder, mode in (CLASS, 0o711), (CLASS / "homes", 0o711), (CLASS / "shared", 0o755):
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(mode)
if not one_user() and (closed := hidden(sys.executable, ROOT / ".venv", CLASS / "homes")):
    sys.exit(
        f"Students, who are not root, may not enter {closed[0]}: move the lab, such as to /srv, or open that folder."
    )
if one_user():
    print("Not root: all students are one user of this machine, and can read each other's files.", file=sys.stderr)

# who comes in: a name of the list, with the password that was chosen at its first login
c.JupyterHub.authenticator_class = "firstuse"
c.FirstUseAuthenticator.create_users = False
c.FirstUseAuthenticator.dbm_path = str(CLASS / "passwords.dbm")
c.FirstUseAuthenticator.min_password_length = 8
c.Authenticator.allowed_users = students | teachers
c.Authenticator.admin_users = teachers
c.Authenticator.allow_existing_users = False  # a name that has left the list; its home stays

# where it listens: this machine alone. For others, put HTTPS in front of it (README.md)
c.JupyterHub.bind_url = os.environ.get("MHA_LAB_HUB_URL", "http://127.0.0.1:8000")
c.JupyterHub.hub_ip = "127.0.0.1"
c.JupyterHub.hub_port = int(os.environ.get("MHA_LAB_HUB_PORT", 8081))
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{os.environ.get('MHA_LAB_PROXY_PORT', 8001)}"
c.ConfigurableHTTPProxy.command = [str(ROOT / "build/hub/node_modules/.bin/configurable-http-proxy")]
c.JupyterHub.db_url = f"sqlite:///{CLASS / 'hub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(CLASS / "cookie_secret")
c.ConfigurableHTTPProxy.pid_file = str(CLASS / "proxy.pid")

# what a student gets: their home, with their own copies, and the lab's packages, which they only read
c.JupyterHub.spawner_class = ClassSpawner
c.ClassSpawner.homes = str(CLASS / "homes")
c.Spawner.cmd = [sys.executable, str(CLASSROOM / "student_server.py")]
c.Spawner.default_url = "/lab/tree/my_notebooks/00_start_here.ipynb"
c.Spawner.start_timeout = c.Spawner.http_timeout = 180  # seconds, on the morning when everybody comes at once
c.JupyterHub.concurrent_spawn_limit = 30
lab = ROOT / ".venv" / "share" / "jupyter"
c.Spawner.environment = {
    "JUPYTER_PREFER_ENV_PATH": "1",
    "JUPYTER_PATH": f"{CLASSROOM / 'share'}:{lab}",  # our kernel, then the explorers' extensions
    "JUPYTER_CONFIG_PATH": f"{CLASSROOM / 'jupyter'}:{ROOT / '.venv' / 'etc' / 'jupyter'}",
    "JUPYTERLAB_DIR": str(lab / "lab"),
    "MHA_LAB_SHARED": str(CLASS / "shared"),
    "MHA_LAB_CLASS": os.environ.get("MHA_LAB_CLASS", "1"),  # solutions and second hints wait for the lecturer
    "MHA_LAB_OPENED": str(CLASS / "shared" / "opened.txt"),  # "01 02" or "all" in it opens lessons
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
}

# whoever has left
c.JupyterHub.services = [
    {
        "name": "idle-culler",
        "command": [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=7200", "--cull-every=300"],
    }
]
c.JupyterHub.load_roles = [
    {
        "name": "idle-culler",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["idle-culler"],
    }
]
