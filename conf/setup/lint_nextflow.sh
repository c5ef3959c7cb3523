#!/usr/bin/env bash
# Checks the Nextflow files under the strict syntax, so that newer Nextflow versions run them too. `make check` calls it.
#
# Uses `nextflow lint` where the user's version has it (25.04 on), else the linter in ../shared/tools/nf_lint when that
# is present, else says that it checked nothing.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

files=()
for path in main.nf nextflow.config workflows modules conf lib; do
    [[ ! -e $path ]] || files+=("$path")
done
if [[ ! -e main.nf ]]; then
    echo "lint_nextflow: skipped, there is no main.nf"
    exit 0
fi

if .venv/bin/nextflow help 2>/dev/null | grep -qE '^ +lint '; then
    exec .venv/bin/nextflow lint "${files[@]}"
fi

tool=../shared/tools/nf_lint
if [[ ! -f $tool/NfLint.java ]]; then
    echo "lint_nextflow: skipped, this Nextflow has no 'lint' command (25.04 and newer do) and $tool is absent"
    exit 0
fi
jars=.venv/share/nf_lint
if [[ ! -d $jars ]]; then
    command -v mvn >/dev/null || {
        echo "lint_nextflow: Maven is needed to fetch the linter: apt install maven" >&2
        exit 1
    }
    rm -rf "$jars.part"
    mvn -B -q -C -f "$tool/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$PWD/$jars.part" |&
        sed 's/\x1b\[[0-9;]*m//g' >&2
    mv "$jars.part" "$jars"
fi
# With lib/ on the class path, its classes may use one another.
"${JAVA_HOME:+$JAVA_HOME/bin/}java" -cp "$jars/*:lib" "$tool/NfLint.java" --warnings --paranoid "${files[@]}"
