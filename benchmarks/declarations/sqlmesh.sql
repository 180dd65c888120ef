-- orders
MODEL (
  name dwh.orders,
  kind INCREMENTAL_BY_UNIQUE_KEY (unique_key order_id),
  cron '@hourly'
);
-- customers
MODEL (
  name dwh.customers,
  kind SCD_TYPE_2_BY_TIME (unique_key customer_id, updated_at_name changed_at),
  cron '@hourly'
);
-- page_views
MODEL (
  name dwh.page_views,
  kind INCREMENTAL_BY_TIME_RANGE (time_column landed_at),
  cron '@hourly',
  grain view_id
);
-- products
MODEL (
  name dwh.products,
  kind FULL,
  cron '@hourly',
  grain sku
);
-- readings
MODEL (
  name dwh.readings,
  kind INCREMENTAL_BY_TIME_RANGE (time_column landed_at),
  cron '@hourly',
  grain (sensor_id, measured_at)
);
-- suppliers
MODEL (
  name dwh.suppliers,
  kind SCD_TYPE_2_BY_COLUMN (unique_key supplier_id, columns [city, tier]),
  cron '@hourly'
);
-- accounts
MODEL (
  name dwh.accounts,
  kind INCREMENTAL_BY_UNIQUE_KEY (
    unique_key account_id,
    when_matched (
      WHEN MATCHED AND source.op = 'D' THEN DELETE
      WHEN MATCHED THEN UPDATE SET target.name = source.name, target.op = source.op
    )
  ),
  cron '@hourly'
);
-- fact_order
MODEL (
  name dwh.fact_order,
  kind INCREMENTAL_BY_UNIQUE_KEY (unique_key order_id),
  cron '@hourly'
);
-- order_daily
MODEL (
  name dwh.order_daily,
  kind INCREMENTAL_BY_TIME_RANGE (time_column day, lookback 7),
  cron '@hourly'
);
-- revenue
MODEL (
  name mart.revenue,
  kind VIEW (materialized true)
);
