/** A web server for tests that count every request: it keeps connections and ends as good servers do, see its script. */
import { readFile, realpath, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { mustRun } from './command.ts'
import { buildImage, type ImageFile } from './image.ts'

export const steadyWebImage = 'cloudless.local/steady-web:1'
export const steadyWebPort = 8080

export const steadyWeb = { name: steadyWebImage, build: buildSteadyWeb }

/** Writes the image below `directory`, an OCI layout as tar; its path. */
async function buildSteadyWeb(directory: string): Promise<string> {
  const path = join(directory, 'steady-web.tar')
  const script = await readFile(join(import.meta.dirname, 'steady-web.pl'))
  const image = buildImage({
    name: steadyWebImage,
    files: { ...(await filesOfProgram('/usr/bin/perl')), '/steady-web.pl': { content: script } },
    directories: ['/proc', '/etc'],
    config: {
      Cmd: ['/usr/bin/perl', '-w', '/steady-web.pl'],
      Env: ['PATH=/usr/bin'],
      ExposedPorts: { [`${steadyWebPort}/tcp`]: {} },
    },
  })
  await writeFile(path, image.archive)
  return path
}

/** The program and the libraries it is linked with, at the paths it looks for them. */
async function filesOfProgram(program: string): Promise<Record<string, ImageFile>> {
  const linked = await mustRun(['ldd', program])
  const libraries = [...linked.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path!)
  const files: Record<string, ImageFile> = {}
  for (const path of [program, ...libraries]) {
    files[path] = { content: await readFile(await realpath(path)), mode: 0o755 }
  }
  return files
}
