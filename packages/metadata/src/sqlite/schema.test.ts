import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { describe, it } from 'node:test'
import { migrate, migrations } from './schema.ts'

/** What a database of each version holds before it is brought to the newest; version 0 is an empty file. */
const contentByVersion: readonly string[] = [
  '',
  `INSERT INTO entries VALUES ('a', x'01', 1, 1, NULL);
   INSERT INTO history VALUES (1, 0, 'a', x'01', 1);
   UPDATE state SET revision = 1`,
]

describe('migrations of the metadata database', () => {
  for (let version = 0; version <= migrations.length; version++) {
    it(`bring a database of version ${version} to the newest and keep its content`, () => {
      using database = new DatabaseSync(':memory:')
      migrate(database, 'x.db', migrations.slice(0, version))
      const content = contentByVersion[version]
      assert.ok(content !== undefined, 'write down what a database of this version holds')
      database.exec(content)
      assert.equal(migrate(database, 'x.db'), version)
      assert.equal(migrate(database, 'x.db'), migrations.length)
      const keys = database.prepare('SELECT key FROM entries').all()
      assert.equal(keys.length, version === 0 ? 0 : 1)
    })
  }

  it('leave a database as it was when a step fails', () => {
    using database = new DatabaseSync(':memory:')
    const broken = [...migrations, 'CREATE TABLE half (x); CREATE TABLE entries (x)']
    assert.throws(() => migrate(database, 'x.db', broken))
    database.exec('ROLLBACK')
    assert.equal(migrate(database, 'x.db'), migrations.length)
    assert.equal(
      database.prepare("SELECT * FROM sqlite_schema WHERE name = 'half'").get(),
      undefined,
    )
  })

  it('refuse what a newer version wrote', () => {
    using database = new DatabaseSync(':memory:')
    migrate(database, 'x.db', [...migrations, 'CREATE TABLE later (x)'])
    assert.throws(() => migrate(database, 'x.db'), {
      code: 'failed_precondition',
      message: /newer version/,
    })
  })
})
