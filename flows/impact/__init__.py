"""What the changes of a branch would do: compared with a git ref, before anything is applied or loaded.

Way in: `plan.plan_impact(context, ref)`.

| module | what is in it |
| --- | --- |
| `base` | the project as a git ref holds it |
| `plan` | changes of rows and SELECTs, what happens to rows that stand, what is reached and what breaks |
| `text` | the plan for people, also as Markdown |
"""
