-- The example's source. Drop it with the example: drop table raw.customers;
create schema if not exists raw;
create table raw.customers (
    customer_id bigint, name varchar(100), city varchar(100), changed_at timestamp, landed_at timestamp
);
insert into raw.customers values
    (1, 'Ada', 'London', '2024-01-01 08:00', '2024-01-02 06:00'),
    (2, 'Linus', 'Helsinki', '2024-01-01 09:00', '2024-01-02 06:00');
