"""Which config file a command reads."""

from pathlib import Path

from judge.cli.talk import Talk

CONFIG_HERE = Path("judge.toml")


def config_path(config: Path | None, talk: Talk) -> Path | None:
    """Return the file named by a flag, otherwise ./judge.toml where there is one, and say so."""
    if config is None and CONFIG_HERE.is_file():
        talk.say(f"settings from {CONFIG_HERE}")
        return CONFIG_HERE
    return config
