-- Rules for an app's network that its owner set by command, as JSON; nothing where there are none.
ALTER TABLE apps ADD COLUMN net TEXT;
