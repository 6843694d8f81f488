-- What a key may do, as JSON; the owner's token has nothing here and may do everything.
ALTER TABLE tokens ADD COLUMN may TEXT;
