"""Functions of PostgreSQL and of other warehouses that Redshift does not have.

Source: https://docs.aws.amazon.com/redshift/latest/dg/c_unsupported-postgresql-functions.html, and what is absent from
https://docs.aws.amazon.com/redshift/latest/dg/c_SQL_functions.html.
"""

from __future__ import annotations

from typing import Final

MISSING_FUNCTIONS: Final = frozenset(
    """
    every corr covar_pop covar_samp regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx
    regr_sxy regr_syy xmlagg array_agg string_agg json_agg jsonb_agg json_object_agg jsonb_object_agg mode
    group_concat array_append array_cat array_dims array_fill array_length array_lower array_ndims
    array_prepend array_remove array_replace unnest array_upper cardinality trim_array
    string_to_array string_to_table pg_start_backup pg_stop_backup pg_switch_xlog pg_switch_wal
    pg_create_restore_point pg_current_wal_lsn pg_current_xlog_location col_description shobj_description
    pg_relation_filenode pg_relation_filepath pg_column_size pg_database_size pg_indexes_size pg_relation_size
    pg_size_pretty pg_table_size pg_tablespace_size pg_total_relation_size clock_timestamp transaction_timestamp
    justify_days justify_hours justify_interval pg_sleep make_date make_time make_timestamp make_timestamptz
    make_interval date_bin to_timestamp_tz enum_first enum_last enum_range isclosed isopen npoints pclose popen
    pg_ls_dir pg_read_file pg_read_binary_file pg_stat_file hostmask masklen netmask set_masklen broadcast div
    setseed width_bucket gcd lcm trim_scale min_scale generate_series generate_subscripts lower_inc upper_inc
    lower_inf upper_inf isempty range_merge int4range int8range numrange tsrange tstzrange daterange
    pg_is_in_recovery pg_last_wal_receive_lsn pg_last_wal_replay_lsn pg_last_xlog_receive_location
    pg_wal_replay_pause pg_conversion_is_visible pg_function_is_visible pg_operator_is_visible
    pg_opclass_is_visible pg_type_is_visible pg_reload_conf pg_rotate_logfile pg_export_snapshot nextval currval
    setval lastval bit_length overlay convert_from convert_to encode format quote_nullable regexp_matches
    regexp_match regexp_split_to_array regexp_split_to_table regexp_like concat_ws unistr normalize casefold
    starts_with parse_ident to_json to_jsonb row_to_json json_build_array json_build_object json_object
    json_each json_each_text json_array_elements json_array_elements_text json_populate_record json_to_record
    json_object_keys json_extract_path json_strip_nulls jsonb_build_array jsonb_build_object
    jsonb_each jsonb_each_text jsonb_array_elements jsonb_array_elements_text jsonb_array_length
    jsonb_object_keys jsonb_extract_path jsonb_extract_path_text jsonb_set jsonb_insert jsonb_path_query
    jsonb_path_exists jsonb_pretty jsonb_typeof jsonb_strip_nulls array_to_json current_query inet_client_addr
    inet_client_port inet_server_addr inet_server_port pg_conf_load_time pg_is_other_temp_schema
    pg_listening_channels pg_my_temp_schema pg_postmaster_start_time pg_trigger_depth pg_get_indexdef
    pg_get_functiondef pg_typeof to_tsvector to_tsquery plainto_tsquery phraseto_tsquery websearch_to_tsquery
    ts_rank ts_rank_cd ts_headline setweight numnode querytree tsvector_to_array txid_current
    txid_current_snapshot txid_snapshot_xmin txid_snapshot_xmax txid_visible_in_snapshot pg_current_xact_id
    suppress_redundant_updates_trigger xmlcomment xmlconcat xmlelement xmlforest xmlpi xmlroot xmlparse
    xmlserialize xmlexists xpath xpath_exists xml_is_well_formed table_to_xml query_to_xml gen_random_uuid
    uuid_generate_v1 uuid_generate_v4 num_nulls num_nonnulls pg_advisory_lock pg_advisory_unlock
    pg_try_advisory_lock pg_advisory_xact_lock pg_try_advisory_xact_lock pg_advisory_lock_shared
    pg_advisory_unlock_all dblink crosstab lo_import lo_export has_column_privilege has_any_column_privilege
    has_function_privilege has_language_privilege has_tablespace_privilege has_sequence_privilege
    has_server_privilege pg_has_role ifnull date_format strftime date_parse approx_count_distinct
    element_at try_to_date json_to_recordset
    if iff safe_cast try_convert try_parse str_to_date explode explode_outer posexplode json_value json_query
    json_exists parse_json try_parse_json try_to_number try_to_decimal try_to_timestamp try_to_boolean
    to_variant array_size object_construct object_agg object_keys flatten generate_array countif count_if
    logical_and logical_or arg_max arg_min max_by min_by zeroifnull nullifzero div0 booland_agg boolor_agg
    startswith endswith editdistance levenshtein jaro_winkler_similarity uuid_string uuid rand curdate curtime
    unix_timestamp from_unixtime date_sub adddate subdate timestampdiff timestampadd last_insert_id find_in_set
    elt locate lcase ucase mid substring_index format_number regexp_extract regexp_extract_all regexp_contains
    collect_list collect_set array_join approx_distinct percentile_approx approx_percentile approx_quantiles
    map_keys map_values named_struct struct_pack from_json schema_of_json get_json_object strptime epoch_ms
    list_agg list_value nanvl sys_guid numtodsinterval wm_concat isnull patindex stuff getutcdate newid datename
    eomonth choose string_split quotename isnumeric square datefromparts switchoffset sysdatetime time_bucket
    safe_divide ieee_divide parse_date parse_timestamp format_date format_timestamp timestamp_diff timestamp_add
    timestamp_sub timestamp_trunc datetime_diff datetime_add datetime_trunc generate_date_array bit_count
    array_to_string equal_null conditional_true_event hash_agg seq4 uniform monthname dayname time_slice
    date_from_parts timestamp_from_parts regr_valx row_to_struct array_transform list_contains
    """.split()  # noqa: SIM905 - a list of so many literals would be longer than the module
)
"""In lower case, as they are called."""
