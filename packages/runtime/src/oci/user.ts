/** Who the container's process runs as: names are looked up in the image's own /etc/passwd and /etc/group. */
import { CloudlessError } from '@cloudless/base'

export interface ContainerUser {
  readonly uid: number
  readonly gid: number
  readonly additionalGids: readonly number[]
  /** Home directory by the image's passwd; "/" when it says none. */
  readonly home: string
}

export interface UserFiles {
  /** The image's /etc/passwd; empty when it has none. */
  readonly passwd: string
  readonly group: string
}

export interface UserRequest {
  /** As in the image's configuration: "", "1000", "www", "www:data", "1000:1000". */
  readonly imageUser: string
  readonly runAsUser?: number
  readonly runAsGroup?: number
  readonly supplementalGroups: readonly number[]
  readonly runAsNonRoot: boolean
  /** For messages. */
  readonly image: string
}

/** Whether the image's files are needed at all, that is, whether resolveUser can be given empty ones. */
export function needsUserFiles(request: UserRequest): boolean {
  // A number still needs passwd for its group and home; only plain root needs nothing.
  return request.imageUser !== '' || request.runAsUser !== undefined
}

/** Throws failed_precondition when the image lacks the user, or it is root and must not be. */
export function resolveUser(request: UserRequest, files: UserFiles): ContainerUser {
  const [userPart = '', groupPart = ''] =
    request.runAsUser === undefined ? request.imageUser.split(':') : [String(request.runAsUser)]
  const user = lookUpUser(userPart, files, request.image)
  const gid =
    request.runAsGroup ?? (groupPart === '' ? user.gid : lookUpGroup(groupPart, files, request))
  if (request.runAsNonRoot && user.uid === 0) {
    throw new CloudlessError(
      'failed_precondition',
      `${request.image} runs as root and the workload sets run_as_non_root. ` +
        'Set security_context.run_as_user or use an image with another user.',
    )
  }
  const memberships = user.name === '' ? [] : groupsOfMember(files.group, user.name)
  const additionalGids = [...new Set([...memberships, ...request.supplementalGroups])]
  return { uid: user.uid, gid, additionalGids, home: user.home }
}

function lookUpUser(
  text: string,
  files: UserFiles,
  image: string,
): { name: string; uid: number; gid: number; home: string } {
  const wanted = text === '' ? '0' : text
  for (const [name, , uid, gid, , home] of entriesOf(files.passwd)) {
    if (name === wanted || uid === wanted) {
      return { name: name!, uid: Number(uid), gid: Number(gid), home: home || '/' }
    }
  }
  if (isId(wanted)) return { name: '', uid: Number(wanted), gid: 0, home: '/' }
  throw new CloudlessError(
    'failed_precondition',
    `${image} wants to run as user "${text}", which its /etc/passwd does not have. ` +
      'Set security_context.run_as_user to a number.',
  )
}

function lookUpGroup(text: string, files: UserFiles, request: UserRequest): number {
  if (isId(text)) return Number(text)
  for (const [name, , gid] of entriesOf(files.group)) if (name === text) return Number(gid)
  throw new CloudlessError(
    'failed_precondition',
    `${request.image} wants to run in group "${text}", which its /etc/group does not have. ` +
      'Set security_context.run_as_group to a number.',
  )
}

function groupsOfMember(group: string, user: string): readonly number[] {
  return entriesOf(group)
    .filter(([, , , members]) => members?.split(',').includes(user))
    .map(([, , gid]) => Number(gid))
}

/** Lines of colon-separated fields; what has no number where one belongs is no entry. */
function entriesOf(file: string): readonly (readonly string[])[] {
  return file
    .split('\n')
    .map((line) => line.trimEnd().split(':'))
    .filter((fields) => fields.length >= 3 && isId(fields[2]!))
}

function isId(text: string): boolean {
  return /^\d{1,10}$/.test(text) && Number(text) <= 4_294_967_294
}
