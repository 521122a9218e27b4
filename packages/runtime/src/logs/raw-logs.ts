/** The files a container's shim writes its output to. */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface RawPaths {
  readonly stdout: string
  readonly stderr: string
}

export class RawLogs {
  readonly #directory: string

  constructor(stateDirectory: string) {
    this.#directory = join(stateDirectory, 'output')
  }

  async open(containerId: string, _logPath: string): Promise<RawPaths> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
    const paths = this.#pathsOf(containerId)
    await Promise.all([writeFile(paths.stdout, ''), writeFile(paths.stderr, '')])
    return paths
  }

  async release(containerId: string): Promise<void> {
    const { stdout, stderr } = this.#pathsOf(containerId)
    await Promise.all([rm(stdout, { force: true }), rm(stderr, { force: true })])
  }

  #pathsOf(containerId: string): RawPaths {
    return {
      stdout: join(this.#directory, `${containerId}.stdout`),
      stderr: join(this.#directory, `${containerId}.stderr`),
    }
  }
}
