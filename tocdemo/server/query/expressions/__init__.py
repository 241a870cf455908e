"""Aggregation expressions: their value for a document, `$expr` in a query, and a command's `let` variables.

It must not know stages, queries or collections. Read it in this order: `table` (what an operator is),
`converting`, `arithmetic`, `strings`, `arrays`, `dates` (the operators), `forms` (those with parts that are
evaluated later, or often), `compiling`, `binding`.
"""

from .arithmetic import extreme
from .arrays import distinct, merge_objects
from .binding import bind_pipeline, bind_query
from .compiling import check_name, compile_condition, compile_operand, is_known
from .converting import truthy
from .table import Evaluate

__all__ = [
    "Evaluate",
    "bind_pipeline",
    "bind_query",
    "check_name",
    "compile_condition",
    "compile_operand",
    "distinct",
    "extreme",
    "is_known",
    "merge_objects",
    "truthy",
]
