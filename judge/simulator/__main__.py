"""`python -m judge.simulator`: serve one simulated judge and print its base URL first."""

import argparse
import sys

from judge.simulator.server import LOOPBACK, serve_forever
from judge.simulator.settings import SimulatorSettings


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(prog="python -m judge.simulator", description=__doc__)
    parser.add_argument("--settings-json", default="{}", help="settings as a JSON object")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument(
        "--end-with-stdin", action="store_true", help="stop when standard input closes"
    )
    given = parser.parse_args()
    serve_forever(
        SimulatorSettings.model_validate_json(given.settings_json),
        LOOPBACK,
        given.port,
        lambda base_url: print(base_url, flush=True),
        lifeline=sys.stdin.fileno() if given.end_with_stdin else None,
    )


if __name__ == "__main__":
    main()
