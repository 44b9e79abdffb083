-- What JSON allows and jsonb does not: a number beyond numeric, nesting beyond the server's
-- stack. A constant NULL, so no row is rewritten, however many there are.
ALTER TABLE public.changes ADD COLUMN stored_as_text text[];

COMMENT ON COLUMN public.changes.stored_as_text IS
    'Members, as after.amount, that jsonb refuses and that stand here as strings of their JSON.';
