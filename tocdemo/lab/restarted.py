"""A kernel that knows no `lab` yet says what to do, in a sentence: nearly always it was just restarted.

An IPython extension for the kernels that the course starts. It looks at the name in the error, and at nothing
else.
"""

import sys
from types import TracebackType
from typing import Any

SENTENCE = (
    "There is no `lab` yet: this kernel has been started afresh, and knows nothing of the cells above. "
    "Run the lesson's first cell again (the one with `from tocdemo import lab`), and then this one."
)


def load_ipython_extension(shell: Any) -> None:
    """Say SENTENCE in place of the traceback when the missing name is `lab`, and only then."""

    def explain(
        shell: Any,
        kind: type[NameError],
        error: NameError,
        trace: TracebackType,
        tb_offset: int | None = None,
    ) -> None:
        if error.name == "lab":
            print(SENTENCE, file=sys.stderr)
        else:
            shell.showtraceback((kind, error, trace), tb_offset=tb_offset)

    shell.set_custom_exc((NameError,), explain)
