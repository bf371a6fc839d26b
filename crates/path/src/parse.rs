use crate::cursor::Cursor;
use crate::error::shortened;
use crate::layer_path::{check_layer, check_length};
use crate::{Block, BranchScales, PathError, Scale, Step, mergekit};

/// The steps of a path in any notation, expanded on a stack of `depth` (at least 1) layers.
pub(crate) fn steps(text: &str, depth: usize) -> Result<Vec<Step>, PathError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(PathError::Empty);
    }
    if text.contains("layer_range") {
        return mergekit::steps(text, depth);
    }
    if text.starts_with("layers") {
        return layer_list(Cursor::new(text, "layer list"), depth);
    }
    if text.starts_with('[') {
        return layer_replication(Cursor::new(text, "PEFT's layer_replication"), depth);
    }
    if text.starts_with("blocks") || text.starts_with('(') || text.contains(';') {
        return blocks(Cursor::new(text, "blocks"), depth);
    }
    layer_map(Cursor::new(text, "layer map"), depth)
}

/// `0..15,11..31`, `..,4..`, `10x3`, `4..7x2{attn=0.5}`.
fn layer_map(mut cursor: Cursor<'_>, depth: usize) -> Result<Vec<Step>, PathError> {
    let mut steps = Vec::new();
    loop {
        let (first, last) = inclusive_range(&mut cursor, depth)?;
        let repeats =
            if cursor.eat("x") { cursor.number("how many times the item is written, as in `4..7x2`")? } else { 1 };
        if repeats == 0 {
            return Err(PathError::ZeroRepeats);
        }
        let scales = if cursor.eat("{") { branch_scales(&mut cursor)? } else { BranchScales::default() };
        // A range holds at most `depth` layers and usize fits u64, so u128 cannot overflow.
        check_length(steps.len() as u128 + (last - first + 1) as u128 * repeats as u128)?;
        for _ in 0..repeats {
            steps.extend((first..=last).map(|layer| Step::Layer { layer, scales }));
        }
        if !cursor.eat(",") {
            cursor.finish("`,`, `..`, `xK`, `{attn=…,mlp=…}` or the end, as in `0..7,4..7x2{attn=0.5},8..11`")?;
            return Ok(steps);
        }
    }
}

/// `4`, `4..7`, `4..`, `..7` or `..`: the first and the last layer.
fn inclusive_range(cursor: &mut Cursor<'_>, depth: usize) -> Result<(usize, usize), PathError> {
    const ITEM: &str = "a layer such as `4` or a range such as `4..7` (layers are counted from 0)";
    let first = cursor.optional_number()?;
    if !cursor.eat("..") {
        let layer = first.ok_or_else(|| cursor.unexpected(ITEM))?;
        check_layer(layer, depth, "")?;
        return Ok((layer, layer));
    }
    let first = first.unwrap_or(0);
    let last = cursor.optional_number()?;
    if let Some(last) = last.filter(|last| *last < first) {
        return Err(PathError::Descending { start: first, end: last });
    }
    check_layer(first, depth, "")?;
    let last = last.unwrap_or(depth - 1);
    check_layer(last, depth, "; `a..b` includes b")?;
    Ok((first, last))
}

/// The rest of `{attn=0.5,mlp=0}` behind the brace.
fn branch_scales(cursor: &mut Cursor<'_>) -> Result<BranchScales, PathError> {
    let (mut attn, mut mlp) = (None, None);
    loop {
        let branch = cursor.until(&['=', ',', '}']);
        let refuse = |reason| Err(PathError::Branch { found: shortened(branch), reason });
        let slot = match branch {
            "attn" => &mut attn,
            "mlp" => &mut mlp,
            _ => return refuse("does not exist"),
        };
        cursor.expect("=", "`=` and a scale, as in `attn=0.5`")?;
        let scale: Scale = cursor.until(&[',', '}']).parse()?;
        if slot.replace(scale).is_some() {
            return refuse("is scaled twice");
        }
        if !cursor.eat(",") {
            cursor.expect("}", "`,` or `}`, as in `{attn=0.5,mlp=0}`")?;
            return Ok(BranchScales { attn: attn.unwrap_or(Scale::ONE), mlp: mlp.unwrap_or(Scale::ONE) });
        }
    }
}

/// `layers:0,1,2,2,3`, tolerating brackets around the list.
fn layer_list(mut cursor: Cursor<'_>, depth: usize) -> Result<Vec<Step>, PathError> {
    cursor.eat("layers");
    cursor.expect(":", "`:` and the layers, as in `layers:0,1,2`")?;
    let bracketed = cursor.eat("[");
    let mut steps = Vec::new();
    loop {
        let layer = cursor.number("a layer such as `4` (layers are counted from 0)")?;
        check_layer(layer, depth, "")?;
        check_length(steps.len() as u128 + 1)?;
        steps.push(Step::layer(layer));
        if !cursor.eat(",") {
            break;
        }
    }
    if bracketed {
        cursor.expect("]", "`,` or `]`")?;
    }
    cursor.finish("`,` or the end; ranges belong to the layer map, which has no prefix: `0..7,4..11`")?;
    Ok(steps)
}

/// `(i,j)` or `blocks:24,35;43,45`: each block is inserted behind the right-most layer j−1 so far.
fn blocks(mut cursor: Cursor<'_>, depth: usize) -> Result<Vec<Step>, PathError> {
    const BLOCK: &str = "a block such as `(24,35)`";
    if cursor.eat("blocks") {
        cursor.expect(":", "`:` and the blocks, as in `blocks:24,35;43,45`")?;
    }
    let mut blocks = Vec::new();
    let mut visits = depth as u128;
    loop {
        let parenthesis = cursor.eat("(");
        let start = cursor.number(BLOCK)?;
        cursor.expect(",", "`,` and the block's end j, as in `(24,35)`")?;
        let end = cursor.number("the block's end j, as in `(24,35)`")?;
        if parenthesis {
            cursor.expect(")", "`)`")?;
        }
        let block = Block::new(start, end, depth)?;
        visits += block.size() as u128;
        check_length(visits)?;
        blocks.push(block);
        if !cursor.eat(";") {
            break;
        }
    }
    cursor.finish("`;` and another block, or the end")?;
    if blocks.len() > 1 && blocks.contains(&Block::BASELINE) {
        let reason = "(0, 0) stands for the baseline and only alone; leave it out".to_owned();
        return Err(PathError::ImpossibleBlock { start: 0, end: 0, reason });
    }
    let mut layers: Vec<usize> = (0..depth).collect();
    for block in blocks {
        // Insertion never removes a layer, so layer j-1 is always there; the baseline inserts nothing.
        let behind = layers.iter().rposition(|layer| layer + 1 == block.end).map_or(0, |last| last + 1);
        layers.splice(behind..behind, block.start..block.end);
    }
    Ok(layers.into_iter().map(Step::layer).collect())
}

/// `[[0,4],[2,5]]`, ends excluded. A flat list is refused: it could be a block or layers.
fn layer_replication(mut cursor: Cursor<'_>, depth: usize) -> Result<Vec<Step>, PathError> {
    let list = cursor.rest();
    cursor.eat("[");
    if cursor.rest().starts_with(|character: char| character.is_ascii_digit()) {
        return Err(PathError::AmbiguousList { found: shortened(list) });
    }
    let mut steps = Vec::new();
    loop {
        cursor.expect("[", "`[` and a half-open range, as in `[[0,4],[2,5]]`")?;
        let start = cursor.number("the range's first layer")?;
        cursor.expect(",", "`,` and the range's end, as in `[0,4]`")?;
        let end = cursor.number("the range's end, one above its last layer")?;
        cursor.expect("]", "`]`")?;
        half_open_range(start, end, depth, BranchScales::default(), "PEFT's layer_replication", &mut steps)?;
        if !cursor.eat(",") {
            break;
        }
    }
    cursor.expect("]", "`,` or `]`")?;
    cursor.finish("the end")?;
    Ok(steps)
}

/// Appends the layers start … end−1.
pub(crate) fn half_open_range(
    start: usize,
    end: usize,
    depth: usize,
    scales: BranchScales,
    notation: &'static str,
    steps: &mut Vec<Step>,
) -> Result<(), PathError> {
    let last = end.checked_sub(1).filter(|last| *last >= start);
    let last = last.ok_or(PathError::EmptyRange { start, end, notation })?;
    check_layer(last, depth, "; the end of this notation's ranges is excluded, so it is at most the number of layers")?;
    check_length(steps.len() as u128 + (end - start) as u128)?;
    steps.extend((start..end).map(|layer| Step::Layer { layer, scales }));
    Ok(())
}
