-- Takes away what capture.sql made; the triggers go with their function.
SET LOCAL client_min_messages = warning;
DROP FUNCTION pg_temp.bemi_capture() CASCADE;
DROP TABLE pg_temp.bemi_captured;
