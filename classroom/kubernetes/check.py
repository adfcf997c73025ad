"""Holds values.yaml against the chart's own schema, as helm does before it installs anything.

Usage: python classroom/kubernetes/check.py CHART
       (the chart's folder: helm pull jupyterhub/jupyterhub --version 4.4.0 --untar)

The chart's defaults are filled in first, then every key must be one that the chart knows. Nothing is fetched.
"""

import json
import sys
from pathlib import Path

import jsonschema
import yaml

VALUES = Path(__file__).with_name("values.yaml")


def merged(defaults, ours):
    """What helm makes of both: ours wins, and a mapping is filled up."""
    if not (isinstance(defaults, dict) and isinstance(ours, dict)):
        return ours
    both = {name: merged(defaults[name], value) if name in defaults else value for name, value in ours.items()}
    return {**defaults, **both}


def problems(chart, values):
    """A sentence for each value that the chart does not take."""
    schema = next(path for path in sorted(chart.glob("values.schema.*")) if path.suffix in (".json", ".yaml"))
    read = json.loads if schema.suffix == ".json" else yaml.safe_load
    rules, defaults = (
        read(schema.read_text(encoding="utf-8")),
        yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8")),
    )
    found = jsonschema.validators.validator_for(rules)(rules).iter_errors(merged(defaults, values))
    return [f"{'.'.join(map(str, error.path)) or 'at the top'}: {error.message}" for error in found]


def main(arguments):
    if len(arguments) != 1 or not (Path(arguments[0]) / "Chart.yaml").is_file():
        sys.exit(__doc__)
    chart = Path(arguments[0])
    found = problems(chart, yaml.safe_load(VALUES.read_text(encoding="utf-8")))
    about = yaml.safe_load((chart / "Chart.yaml").read_text(encoding="utf-8"))
    print(f"values.yaml and {about['name']} {about['version']}, with JupyterHub {about['appVersion']}: ", end="")
    print("\n".join(found) or "every value is one that the chart takes.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
