"""Functions that SELECTs may call although sqlglot knows them by name only, reviewed per warehouse.

Each gives a value of its arguments, of the rows it aggregates or of the clock: it reads no file, table or setting,
reaches no other system and changes nothing. DuckDB's and PostgreSQL's come from their catalogs (`duckdb_functions()`,
`pg_proc`), Redshift's from its SQL reference. Functions that sqlglot types are judged in functions.py.

Sources: https://duckdb.org/docs/stable/sql/functions/overview, https://www.postgresql.org/docs/current/functions.html,
https://docs.aws.amazon.com/redshift/latest/dg/c_SQL_functions.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_DUCKDB: Final = """
    add age aggregate ago arbitrary arg_max_null arg_max_nulls_last arg_min_null arg_min_nulls_last array_aggr
    array_aggregate array_apply array_cosine_distance array_cosine_similarity array_cross_product array_distance
    array_dot_product array_extract array_grade_up array_has_any array_indexof array_inner_product
    array_negative_dot_product array_negative_inner_product array_pop_back array_pop_front array_push_back
    array_push_front array_reduce array_resize array_reverse_sort array_select array_sort array_to_json
    array_to_string_comma_default array_transform array_unique array_value array_where array_zip assert_true bar
    base64 bin binom bit_count bit_position bitstring bitstring_agg cardinality century count_star
    create_sort_key current_localtime current_localtimestamp damerau_levenshtein date_part date_sub datepart
    datesub days_in_month decade divide element_at entropy enum_code enum_first enum_last enum_range
    enum_range_boundary epoch_ns epoch_us equi_width_bins era error even favg fdiv fmod format format_bytes
    from_binary from_json_strict fsum gamma gcd gen_random_uuid geomean geometric_mean get_current_time
    get_current_timestamp grade_up greatest_common_divisor hamming hash histogram histogram_exact
    hive_partition_component if ifnull isfinite isoyear jaccard jaro_similarity json_array_length json_contains
    json_deep_merge json_exists json_group_array json_group_object json_group_structure json_insert
    json_merge_patch json_merge_patch_diff json_normalize json_pretty json_quote json_replace json_structure
    json_transform json_transform_strict json_valid json_value julian kahan_sum kurtosis_pop lcm
    least_common_multiple left_grapheme length_grapheme lgamma list_aggr list_aggregate list_any_value
    list_apply list_approx_count_distinct list_avg list_bit_and list_bit_or list_bit_xor list_bool_and
    list_bool_or list_cat list_cosine_similarity list_count list_dot_product list_element list_entropy
    list_extract list_first list_grade_up list_has_all list_histogram list_indexof list_inner_product
    list_intersect list_kurtosis list_kurtosis_pop list_last list_mad list_median list_mode
    list_negative_dot_product list_negative_inner_product list_pack list_position list_product list_reduce
    list_resize list_reverse list_reverse_sort list_select list_sem list_skewness list_slice list_sort
    list_stddev_pop list_stddev_samp list_string_agg list_sum list_unique list_var_pop list_var_samp list_where
    list_zip lttb mad make_timestamp_ms make_timestamp_ns make_timestamptz map_concat map_contains
    map_contains_entry map_contains_value map_entries map_extract map_extract_value map_values md5_number
    md5_number_lower md5_number_upper mean microsecond millennium millisecond mismatches multiply nanosecond
    nextafter nfc_normalize now octet_length ord parse_dirname parse_dirpath parse_filename
    parse_formatted_bytes parse_path path_join pg_typeof prefix printf product regexp_escape
    regexp_split_to_array reservoir_quantile right_grapheme round_even roundbankers row row_to_json sem set_bit
    signbit st_asbinary st_asgeojson st_astext st_aswkb st_aswkt st_crs st_geomfromgeojson st_geomfromwkb
    st_intersects_extent st_setcrs strip_accents strlen struct_concat struct_contains struct_extract_at
    struct_has struct_indexof struct_insert struct_keys struct_position struct_update struct_values
    substring_grapheme subtract suffix sumkahan timezone timezone_hour timezone_minute to_base to_centuries
    to_decades to_hours to_json to_microseconds to_millennia to_milliseconds to_minutes to_months to_quarters
    to_seconds to_weeks to_years today transaction_timestamp try_strptime unbin union_extract union_tag
    union_value unpivot_list url_decode url_encode uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7
    variant_array_length variant_contains variant_exists variant_extract variant_extract_string
    variant_group_array variant_group_object variant_keys variant_type variant_typeof vertex_extract wavg
    weekday weighted_avg yearweek
"""

_POSTGRES: Final = """
    abbrev acosd age area array_dims array_fill array_lower array_ndims array_positions array_replace
    array_to_json array_to_tsvector array_upper asind atan2d atand bit bit_count bool box bpchar broadcast
    cardinality cash_words center cidr circle clock_timestamp convert_from convert_to cosd cotd date_part
    datemultirange daterange dexp diagonal diameter dlog1 dlog10 enum_first enum_last enum_range every family
    float4 float8 gcd gen_random_uuid get_byte height hostmask int2 int4 int4multirange int4range int8
    int8multirange int8range is_normalized isclosed isempty isfinite ishorizontal isopen isparallel isperp
    isvertical json_agg json_array_length json_build_array json_build_object json_extract_path
    json_extract_path_text json_object json_object_agg json_populate_record json_strip_nulls json_to_tsvector
    json_typeof jsonb_agg jsonb_array_length jsonb_build_array jsonb_build_object jsonb_extract_path
    jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg jsonb_path_exists jsonb_path_exists_tz
    jsonb_path_match jsonb_path_match_tz jsonb_path_query_array jsonb_path_query_array_tz jsonb_path_query_first
    jsonb_path_query_first_tz jsonb_populate_record jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls
    jsonb_to_tsvector jsonb_typeof lcm line lower_inc lower_inf lseg macaddr macaddr8 macaddr8_set7bit make_date
    make_timestamptz masklen min_scale money multirange netmask network now npoints num_nonnulls num_nulls
    numeric numeric_exp numeric_ln numeric_log numeric_sqrt nummultirange numnode numrange octet_length
    parse_ident path pclose pg_column_size pg_typeof phraseto_tsquery plainto_tsquery point polygon popen
    querytree quote_ident quote_literal quote_nullable radius range_agg range_intersect_agg range_merge
    regexp_match regexp_matches regexp_split_to_array row row_to_json scale set_bit set_byte set_masklen
    setweight sha224 sind slope statement_timestamp strip tand text timeofday timestamptz timetz timezone
    to_ascii to_json to_jsonb to_tsquery to_tsvector transaction_timestamp trim_array trim_scale ts_delete
    ts_filter ts_headline ts_rank ts_rank_cd tsmultirange tsquery_phrase tsrange tstzmultirange tstzrange
    tsvector_to_array unistr upper_inc upper_inf varbit varchar websearch_to_tsquery width xml
    xml_is_well_formed xml_is_well_formed_content xml_is_well_formed_document xmlagg xmlattributes xmlcomment
    xmlconcat xmlforest xmlparse xmlpi xmlroot xmlserialize xpath xpath_exists
"""

_REDSHIFT: Final = """
    age any_value array array_concat array_contains array_distinct array_except array_flatten array_intersection
    array_position array_positions array_sort array_union bit_and bit_or bool_and bool_or btrim can_json_parse
    cardinality charindex checksum crc32 date_cmp date_cmp_timestamp date_cmp_timestamptz date_part
    date_part_year dexp difference dlog1 dlog10 explode_array farmfingerprint64 fnv_hash from_hex from_varbyte
    func_sha1 get_array_length get_number_attributes getdate h3_boundary h3_center h3_fromlonglat h3_frompoint
    h3_isvalid h3_polyfill h3_resolution h3_tochildren h3_toparent hll hll_cardinality hll_combine
    hll_combine_sketches hll_create_sketch interval_cmp is_array is_bigint is_boolean is_char is_decimal
    is_float is_integer is_object is_scalar is_smallint is_valid_json is_valid_json_array is_varchar
    json_array_length json_extract_array_element_text json_extract_path_text json_parse json_serialize
    json_serialize_to_varbyte json_size json_typeof len lower_attribute_names median months_between next_day now
    numeric nvl nvl2 object object_transform oct octet_length octetindex quote_ident quote_literal
    ratio_to_report regexp_count regexp_instr regexp_replace regexp_substr replicate row sha sha1 sha2 soundex
    split_to_array st_area st_asbinary st_asewkb st_asewkt st_asgeojson st_astext st_azimuth st_boundary
    st_buffer st_centroid st_contains st_covers st_crosses st_disjoint st_distance st_distancesphere st_dwithin
    st_envelope st_equals st_geometrytype st_geomfromgeojson st_geomfromtext st_geomfromwkb st_intersection
    st_intersects st_isvalid st_length st_makeline st_makepoint st_overlaps st_perimeter st_point st_polygon
    st_setsrid st_simplify st_srid st_touches st_transform st_union st_within st_x st_y strtol subarray sysdate
    text_to_int_alt text_to_numeric_alt timeofday timestamp_cmp timestamp_cmp_date timestamp_cmp_timestamptz
    timestamptz_cmp timestamptz_cmp_date timestamptz_cmp_timestamp timezone to_hex to_number to_varbyte
    translate try_cast upper_attribute_names value_to_varchar varbyte xml_agg
"""

KNOWN_BY_NAME: Final[Mapping[str, frozenset[str]]] = {
    "duckdb": frozenset(_DUCKDB.split()),
    "postgres": frozenset(_POSTGRES.split()),
    "redshift": frozenset(_REDSHIFT.split()),
}
"""Names by dialect."""
