"""The codemod that does nothing, for ``python -m libcst.tool codemod``."""

import libcst
from libcst.codemod import VisitorBasedCodemodCommand


class NoOp(VisitorBasedCodemodCommand):
    """Leaves every file as it is."""

    DESCRIPTION = "Nothing."

    def transform_module(self, tree: libcst.Module) -> libcst.Module:
        return tree
