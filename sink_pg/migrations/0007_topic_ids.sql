-- Which topic an offset is of: Kafka gives a topic an id when it is made, so one that was deleted
-- and made again is told from it. NULL where that is not known yet.
ALTER TABLE public.bemi_sink_progress ADD COLUMN topic_id text;

-- Offsets begin again at 0 in a topic that was made anew.
ALTER TABLE public.bemi_dead_letters
    ADD COLUMN topic_id text NOT NULL DEFAULT '',
    DROP CONSTRAINT bemi_dead_letters_topic_partition_offset_key,
    ADD UNIQUE (topic, topic_id, partition, "offset");
