//! Prints what the chart's roles grant, for `charts/rbac.txt`. `make generate` runs it; helm must be in `$KEYSTORE_BIN`.

fn main() -> anyhow::Result<()> {
    print!("{}", e2e::rbac::table(&e2e::rbac::grants(&e2e::chart::render_chart()?)?));
    Ok(())
}
