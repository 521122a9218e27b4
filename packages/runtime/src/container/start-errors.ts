/** runc's reasons for not starting a container, made legible. */
import { CloudlessError } from '@cloudless/base'
import { ConnectError } from '@connectrpc/connect'
import { errorOfContainerd } from '../containerd/errors.ts'

interface Explanation {
  readonly pattern: RegExp
  readonly sentence: (match: RegExpExecArray, image: string) => string
}

/** First match wins: runc nests its reasons, and the innermost is the one that helps. */
const explanations: readonly Explanation[] = [
  {
    pattern: /exec: "([^"]*)": (?:executable file not found in \$PATH|stat [^:]*: no such file)/,
    sentence: ([, command], image) =>
      `the command "${command}" is not in the image ${image}. Check "command" and "args".`,
  },
  {
    pattern: /exec: "([^"]*)": (?:permission denied|is a directory)/,
    sentence: ([, command], image) =>
      `"${command}" in the image ${image} is not executable for the user it runs as. ` +
      'Make it executable, or check "command" and run_as_user.',
  },
  {
    pattern: /exec (\S+): no such file or directory/,
    sentence: ([, command], image) =>
      `"${command}" in ${image} needs an interpreter or loader that the image does not have.`,
  },
  {
    pattern: /exec (?:\S+: )?format error|exec format error/,
    sentence: (_, image) =>
      `the program in ${image} is for another processor, or a script without a "#!" line.`,
  },
  {
    pattern:
      /(?:chdir to cwd \("|error during container init: mkdir )([^:"]*)(?:"\)[^:]*)?: (.*?)(?:: unknown)?$/,
    sentence: ([, directory, reason], image) =>
      `the working directory ${directory} cannot be entered in ${image}: ${reason}.`,
  },
  {
    pattern: /sysctl "?([\w./-]+)"?.*?(?:not in a separate|no such file|not allowed|is not)/,
    sentence: ([, name]) =>
      `the sysctl ${name} cannot be set for a container here. Remove it from security_context.`,
  },
  {
    pattern: /cgroup.*(?:memory\.limit_in_bytes|memory\.max).*|container init was OOM-killed.*/,
    sentence: () =>
      'its memory limit is too small to start anything in. Raise limits.memory_bytes.',
  },
]

/** `attempt` completes "Could not ...". */
export function errorOfStart(
  reason: unknown,
  container: { readonly containerId: string; readonly image: string },
  attempt = `start container ${container.containerId}`,
): CloudlessError {
  if (reason instanceof CloudlessError) return reason
  const text = reason instanceof ConnectError ? reason.rawMessage : ''
  for (const { pattern, sentence } of explanations) {
    const match = pattern.exec(text)
    if (match !== null) {
      return new CloudlessError(
        'failed_precondition',
        `Could not ${attempt}: ${sentence(match, container.image)}`,
        { cause: reason },
      )
    }
  }
  const error = errorOfContainerd(reason, attempt)
  // What runc refuses comes as "unknown": it is the container's fault, not containerd's.
  if (error.code === 'internal' && /OCI runtime|runc/.test(text)) {
    return new CloudlessError('failed_precondition', `Could not ${attempt}: ${innermost(text)}`, {
      cause: reason,
    })
  }
  return error
}

/** Without the layers of "failed to create shim task: OCI runtime create failed: ...: unknown". */
function innermost(text: string): string {
  return text.replace(/^.*?unable to start container process: /, '').replace(/: unknown$/, '')
}
