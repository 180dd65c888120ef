"""Control rows and what is made of them: tables, validation, SQL analysis, generated dbt models.

Nothing in this package knows Prefect, AWS, dbt or a warehouse driver; what it asks of a warehouse
goes through the protocols of `metadata_sync.analysis.protocols`, which `flows` implements.
"""
