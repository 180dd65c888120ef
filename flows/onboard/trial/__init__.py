"""A load of a sample, beside the project and what it has loaded, before proposed rows stay.

Way in: `trial.try_out(context, proposals)`.
"""
