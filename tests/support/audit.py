"""Who wrote which row, kept by the servers themselves."""

AUDIT = """
CREATE TABLE {db}.audit (n INT AUTO_INCREMENT PRIMARY KEY, op CHAR(1), id BIGINT, who VARCHAR(80));
CREATE TRIGGER {table}_i AFTER INSERT ON {table} FOR EACH ROW INSERT INTO {db}.audit (op, id, who) VALUES ('i', NEW.id, USER());
CREATE TRIGGER {table}_u AFTER UPDATE ON {table} FOR EACH ROW INSERT INTO {db}.audit (op, id, who) VALUES ('u', NEW.id, USER());
CREATE TRIGGER {table}_d AFTER DELETE ON {table} FOR EACH ROW INSERT INTO {db}.audit (op, id, who) VALUES ('d', OLD.id, USER());
"""


def audit(twin, side):
    table = twin.link.table(side)
    twin.servers[side].script(AUDIT.format(db=table.split(".")[0], table=table))


def audited(twin, side, by_daemon):
    db = twin.link.table(side).split(".")[0]
    sign = "LIKE" if by_daemon else "NOT LIKE"
    return [tuple(row) for row in twin.servers[side].rows(
        f"SELECT op, id FROM {db}.audit WHERE who {sign} 'twinlog@%%' ORDER BY n", ())]
