"""The module for browsers: its own tests, and that it speaks the agent's language."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from agents.rpc.errors import Code

DOCS: Final = Path(__file__).parents[2] / "docs/clients.md"

APP: Final = """
declare const url: string;
declare const token: string;
declare function useSyncExternalStore<T>(
  subscribe: (listener: () => void) => () => void,
  snapshot: () => T,
): T;
declare namespace JSX {
  interface Element {}
}
interface Decides {
  title: string;
  onYes: () => Promise<unknown>;
  onNo: () => Promise<unknown>;
}
declare function DidItHappen(props: Decides): JSX.Element;
declare function Ask(
  props: Decides & { asked_by: string; reason: string; event: object },
): JSX.Element;
"""
"""What an app has that the documentation's examples are from."""

COMPILER: Final = {
    "strict": True,
    "target": "ES2022",
    "module": "ESNext",
    "moduleResolution": "Bundler",
    "lib": ["ES2023", "DOM", "DOM.Iterable"],
    "types": [],
    "jsx": "preserve",
    "skipLibCheck": True,
    "noEmit": True,
}


def run(directory: Path, command: str, *arguments: str) -> None:
    path = shutil.which(command)
    assert path
    ran = subprocess.run(
        [path, *arguments], cwd=directory, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-2000:]


def npm_run(client_module: Path, *script: str) -> None:
    run(client_module, "npm", "run", "--silent", *script)


def test_its_own_tests_pass(client_module: Path) -> None:
    npm_run(client_module, "test")


def test_its_types_are_those_of_the_agents_models(client_module: Path) -> None:
    npm_run(client_module, "generate", "--", "--check")


def test_it_has_a_name_for_each_error_of_the_agent(client_module: Path) -> None:
    source = (client_module / "src/errors.ts").read_text(encoding="utf-8")
    names = re.findall(r'^  \| "([a-z_]+)"', source, re.MULTILINE)
    assert sorted(names) == sorted(["lost", *(code.name.lower() for code in Code)])


def test_an_app_that_installs_its_package_compiles_what_the_docs_show(
    client_module: Path, tmp_path: Path
) -> None:
    run(client_module, "npm", "pack", "--ignore-scripts", "--pack-destination", str(tmp_path))
    (package,) = tmp_path.glob("*.tgz")
    packages = tmp_path / "node_modules"
    (packages / "@greffier").mkdir(parents=True)
    run(packages / "@greffier", "tar", "--extract", "--file", str(package))
    (packages / "@greffier/package").rename(packages / "@greffier/client")
    # The app's own, and the only one: what the module takes is what the app has.
    (packages / "livekit-client").symlink_to(client_module / "node_modules/livekit-client")
    text = DOCS.read_text(encoding="utf-8")
    examples = re.findall(r"```tsx?\n(.*?)```", text, re.DOTALL)
    (tmp_path / "app.tsx").write_text("\n".join(examples), encoding="utf-8")
    config = {"compilerOptions": COMPILER, "files": ["app.tsx", "has.d.ts"]}
    (tmp_path / "has.d.ts").write_text(APP, encoding="utf-8")
    (tmp_path / "tsconfig.json").write_text(json.dumps(config), encoding="utf-8")
    assert package.name in text
    run(tmp_path, str(client_module / "node_modules/.bin/tsc"), "--project", ".")
