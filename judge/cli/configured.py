"""Which config file a command reads."""

import os
from collections.abc import Mapping
from pathlib import Path

from judge.cli.talk import Talk
from judge.errors import ConfigError
from judge.prices.price_list import prices_of
from judge.prices.pricing import Price
from judge.settings.loading import load_settings

CONFIG_HERE = Path("judge.toml")


def config_path(config: Path | None, talk: Talk) -> Path | None:
    """Return the file named by a flag, otherwise ./judge.toml where there is one, and say so."""
    if config is None and CONFIG_HERE.is_file():
        talk.say(f"settings from {CONFIG_HERE}")
        return CONFIG_HERE
    return config


def known_prices(config: Path | None, talk: Talk) -> Mapping[str, Price]:
    """Return the prices by model of the file named by a flag, or else of ./judge.toml.

    A command that asks no model works without: where nobody named the file and it cannot be used,
    that is said and there are no prices.
    """
    path = config or (CONFIG_HERE if CONFIG_HERE.is_file() else None)
    if path is None:
        return {}
    try:
        return prices_of(load_settings(path, environ=os.environ))
    except ConfigError as error:
        if config is not None:
            raise
        talk.say(f"no prices from {CONFIG_HERE}: {str(error).splitlines()[0]}")
        return {}
