{#- Copy Spark's result into a temporary table with the types of the column list, and read that table.

    COPY takes Parquet's columns by position and does not convert types, so names and types are compared first. The
    role comes from SLUICE_REDSHIFT_COPY_ROLE; without it Redshift takes the cluster's default role.

    Args:
        load (dict): the load.
        result (dict): see result; types (list of str) holds Spark's name of each column's type.
    Returns: str.
    Raises: when columns or types are not those of the column list.
    Source: https://docs.aws.amazon.com/redshift/latest/dg/copy-usage_notes-copy-from-columnar.html
-#}
{% macro redshift__result_sql(load, result) %}
    {%- do sluice.check_result_types(load, result) -%}
    {%- set columns = [] -%}
    {%- for column in model.columns.values() -%}
        {%- do columns.append(sluice.quote_name(column.name) ~ " " ~ column.data_type) -%}
    {%- endfor -%}
    {%- do sluice.copy_parquet(
        load,
        "sluice_result",
        "the result of Spark, in the types of the column list",
        columns,
        result.manifest if result.pattern else none,
    ) -%}
    {{ return("select " ~ sluice.quoted(result.columns) | join(", ") ~ " from sluice_result") }}
{% endmacro %}


{#- Copy the files of a manifest into a new temporary table. Without a manifest the table stays empty. -#}
{% macro copy_parquet(load, name, title, columns, manifest) %}
    {%- do sluice.create_temporary(
        load,
        name,
        title,
        "create temporary table " ~ name ~ " (\n    " ~ columns | join(",\n    ") ~ "\n)",
    ) -%}
    {%- if manifest -%} {%- do sluice.run_step(load, none, sluice.copy_sql(name, manifest)) -%} {%- endif -%}
{% endmacro %}


{% macro copy_sql(name, manifest) %}
    {%- set role = env_var("SLUICE_REDSHIFT_COPY_ROLE", "") -%}
    {{
        return(
            "copy "
            ~ name
            ~ "\nfrom "
            ~ sluice.literal(manifest)
            ~ "\niam_role "
            ~ (sluice.literal(role) if role else "default")
            ~ "\nformat as parquet manifest"
        )
    }}
{% endmacro %}


{#- Compare a result's columns with the column list. -#}
{% macro check_result_types(load, result) %}
    {%- set declared = model.columns.values() | list -%}
    {%- set names = declared | map(attribute="name") | list -%}
    {%- if names != result.columns -%}
        {%- set what = "the result of Spark has the columns " ~ result.columns | join(", ") -%}
        {%- do sluice.raise_error(
            load.type,
            what ~ "; the column list of " ~ load.target_name ~ " has " ~ names
            | join(", ") ~ ".",
            "Run it again: Spark then writes the columns of the list.",
        ) -%}
    {%- endif -%}
    {%- for column in declared -%}
        {%- set written = (result.types or [])[loop.index0] or "unknown" -%}
        {%- if not column.data_type or (
            result.types and not sluice.parquet_fits(written, column.data_type)
        ) -%}
            {%- do sluice.raise_error(
                load.type,
                column.name
                ~ " of "
                ~ load.target_name
                ~ " is "
                ~ (column.data_type or "without a type")
                ~ " in the column list and "
                ~ written
                ~ " in the result of Spark. Nothing was written.",
                "Cast it in the SELECT, or correct the type in column_list.",
            ) -%}
        {%- endif -%}
    {%- endfor -%}
{% endmacro %}
