"""`Numbers`: the logs of training, which code of other years asks by other names."""

from __future__ import annotations

from typing import Any

from minidl.errors import warn_old_name


class Numbers(dict[str, Any]):
    """A dictionary in which "acc" and "lr" are found, with a warning, as "accuracy" and "learning_rate".

    So they were called until 2019 and until 2023; "val_acc" and "output_acc" likewise. A name that is there is never
    replaced, and the old ones are not among the keys.
    """

    def __missing__(self, name: str) -> Any:
        today = name_today(name)
        if today not in self:
            raise KeyError(name)
        warn_old_name(f'"{name}"', f'"{today}"')
        return self[today]

    def get(self, name: str, default: Any = None) -> Any:
        """The value under this name, old or new; `default` if there is none."""
        return self[name] if name in self or name_today(name) in self else default


def name_today(name: str) -> str:
    """What a number of the logs is called today."""
    if name == "lr":
        return "learning_rate"
    return f"{name}uracy" if name in ("acc", "val_acc") or str(name).endswith("_acc") else name
