"""What changes would do before anything is applied or loaded: those of a branch, a promotion, a rollback, a proposal.

Way in: `plan.plan_impact(context, ref)`, `brought.impact_of_restoring(context, restoring)`.

| module | what is in it |
| --- | --- |
| `base` | the project as a git ref holds it |
| `plan` | changes of rows and SELECTs, what happens to rows that stand, what is reached and what breaks |
| `types` | types that no load takes into a table that stands |
| `brought` | what a promotion, a rollback or a proposal does, and how the data that it reaches differ |
| `text` | the plan for people, also as Markdown |
"""
