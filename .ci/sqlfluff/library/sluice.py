"""What stands for the package's macros while sqlfluff renders a model."""


def increment(relation: str) -> str:
    """Stand for the windowed subselect: the bare relation, as while dbt parses."""
    return relation


def whole(relation: str) -> str:
    """Stand for a relation that is read as a whole."""
    return relation
