import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resolveUser, type UserRequest } from './user.ts'

const files = {
  passwd: 'root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001:web:/home/web:/bin/sh\nbroken\n#x:y\n',
  group: 'root:x:0:\nweb:x:1001:\nextra:x:2000:other,web\n',
}
const request = (rest: Partial<UserRequest>): UserRequest => ({
  imageUser: '',
  supplementalGroups: [],
  runAsNonRoot: false,
  image: 'app:1',
  ...rest,
})

test('finds the user by name, number, or the workload', () => {
  const cases: readonly (readonly [
    Partial<UserRequest>,
    number,
    number,
    readonly number[],
    string,
  ])[] = [
    [{}, 0, 0, [], '/root'],
    [{ imageUser: 'web' }, 1000, 1001, [2000], '/home/web'],
    [{ imageUser: '1000' }, 1000, 1001, [2000], '/home/web'],
    [{ imageUser: 'web:extra' }, 1000, 2000, [2000], '/home/web'],
    [{ imageUser: 'web:5' }, 1000, 5, [2000], '/home/web'],
    [{ imageUser: '77' }, 77, 0, [], '/'],
    [{ imageUser: 'root', runAsUser: 1000 }, 1000, 1001, [2000], '/home/web'],
    [{ imageUser: 'web:extra', runAsUser: 5, runAsGroup: 6 }, 5, 6, [], '/'],
    [{ supplementalGroups: [7, 7, 8] }, 0, 0, [7, 8], '/root'],
  ]
  for (const [rest, uid, gid, additionalGids, home] of cases) {
    assert.deepEqual(resolveUser(request(rest), files), { uid, gid, additionalGids, home })
  }
  const none = { passwd: '', group: '' }
  assert.deepEqual(resolveUser(request({}), none), {
    uid: 0,
    gid: 0,
    additionalGids: [],
    home: '/',
  })
})

test('refuses users and groups that the image does not have, and root where it must not be', () => {
  const refuse = (rest: Partial<UserRequest>, message: RegExp): void =>
    assert.throws(() => resolveUser(request(rest), files), { code: 'failed_precondition', message })
  refuse({ imageUser: 'nobody' }, /user "nobody", which its \/etc\/passwd does not have/)
  refuse({ imageUser: 'web:none' }, /group "none"/)
  refuse({ imageUser: '-1' }, /user "-1"/)
  refuse({ runAsNonRoot: true }, /runs as root/)
  refuse({ imageUser: '0:5', runAsNonRoot: true }, /runs as root/)
})
