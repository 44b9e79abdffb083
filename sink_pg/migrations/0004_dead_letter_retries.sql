-- How often and when `bemi-sink dead-letters retry` has tried a record in vain.
ALTER TABLE public.bemi_dead_letters
    ADD COLUMN retries integer NOT NULL DEFAULT 0,
    ADD COLUMN retried_at timestamptz;
