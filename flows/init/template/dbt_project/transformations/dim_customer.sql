select
    c.customer_id,
    c.name,
    c.city,
    c.changed_at
from @SCHEMA@.customers as c
