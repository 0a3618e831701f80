-- smoke.sql: tables, indices, joins, transactions, functions. What it prints is compared with what the host's SQLite prints.
PRAGMA integrity_check;
DROP TABLE IF EXISTS item;
DROP TABLE IF EXISTS kind;
CREATE TABLE kind(id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);
CREATE TABLE item(id INTEGER PRIMARY KEY, kind INTEGER REFERENCES kind, label TEXT, weight REAL);
CREATE INDEX item_kind ON item(kind, weight);
INSERT INTO kind(name) VALUES('stone'),('leaf'),('ghost');
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
  INSERT INTO item(kind, label, weight) SELECT 1 + i % 2, printf('item-%05d', i), i * 0.5 FROM n;
COMMIT;
SELECT count(*), sum(weight), min(label), max(label) FROM item;
SELECT kind.name, count(item.id), round(avg(weight), 3) FROM kind LEFT JOIN item ON item.kind = kind.id GROUP BY kind.id ORDER BY 1;
BEGIN;
DELETE FROM item WHERE id % 3 = 0;
SELECT count(*) FROM item;
ROLLBACK;
SELECT count(*) FROM item;
UPDATE item SET label = upper(label) WHERE weight BETWEEN 10 AND 11;
SELECT group_concat(label, ' ') FROM (SELECT label FROM item WHERE label GLOB 'ITEM*' ORDER BY id);
SELECT json_extract('{"a":[1,2,{"b":"c"}]}', '$.a[2].b'), hex(zeroblob(3)), substr('hello', 2, 3), 7 / 2, 7 % 4, 1 << 40;
SELECT label, row_number() OVER (ORDER BY weight DESC) FROM item LIMIT 3;
DELETE FROM item WHERE id > 100;
VACUUM;
PRAGMA integrity_check;
