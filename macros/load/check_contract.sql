{#- Hold a model to its dbt contract: the SELECT yields the columns that the model declares, in these types.

    Constraints of columns and model are not part of the tables that Sluice makes: history and rejects would break them.
    Whoever declares some is told, unless the constraint says warn_unsupported: false.
-#}
{% macro check_contract(load) %}
    {%- if config.get("contract") and config.get("contract").enforced -%}
        {%- do get_assert_columns_equivalent(load.sql) -%}
        {%- set declared = [] -%}
        {%- for constraint in model.constraints or [] -%}
            {%- do declared.append(constraint) -%}
        {%- endfor -%}
        {%- for column in model.columns.values() -%}
            {%- do declared.extend(column.constraints or []) -%}
        {%- endfor -%}
        {%- for constraint in declared if constraint.warn_unsupported -%}
            {%- do exceptions.warn(
                "sluice."
                ~ load.type
                ~ ": the constraint "
                ~ constraint.type
                ~ " of "
                ~ load.target_name
                ~ " is not enforced. Use a data test (key_not_null, unique, one_current_row), or set warn_unsupported: false."
            ) -%}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}
