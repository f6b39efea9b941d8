//! The stages of an exchange: the compiler proves that no stage is skipped, as long as their fields are private to one
//! file and each stage is made from the stage before it.

use super::src;
use syn::{
    FnArg, GenericArgument, ImplItem, ImplItemFn, Item, PathArguments, PathSegment, Receiver, ReceiverKind, ReturnType,
    Type, TypeParamBound, Visibility,
};

/// The stages in their order.
const STAGES: [&str; 10] = [
    "Presented",
    "Authenticated",
    "Proven",
    "Resolved",
    "Validated",
    "Bounded",
    "StillValid",
    "Decided",
    "Signed",
    "Issued",
];

fn items() -> Vec<Item> {
    let text = std::fs::read_to_string(src().join("exchange/stages.rs")).unwrap();
    syn::parse_file(&text).unwrap().items
}

/// The name of a type, or of the type inside `Result` or inside `impl Future`.
fn name(of: &Type) -> Option<String> {
    if let Type::ImplTrait(returned) = of {
        return returned.bounds.iter().find_map(|bound| match bound {
            TypeParamBound::Trait(bound) => name(output(bound.path.segments.last()?)?),
            _ => None,
        });
    }
    let Type::Path(path) = of else { return None };
    let last = path.path.segments.last()?;
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) if last.ident == "Result" => match arguments.args.first()? {
            GenericArgument::Type(inner) => name(inner),
            _ => None,
        },
        _ => Some(last.ident.to_string()),
    }
}

/// The type `T` in `Future<Output = T>`.
fn output(of: &PathSegment) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &of.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(output) if output.ident == "Output" => Some(&output.ty),
        _ => None,
    })
}

/// Whether a function takes the value itself. Such a function can return the value, and makes no new value.
fn takes_itself(function: &ImplItemFn) -> bool {
    let is_value = |receiver: &Receiver| matches!(receiver.kind, ReceiverKind::Value);
    function.sig.receiver().is_some_and(is_value)
}

#[test]
fn no_field_of_a_stage_is_visible() {
    for item in items() {
        match item {
            Item::Struct(stage) => {
                for attribute in &stage.attrs {
                    let Ok(list) = attribute.meta.require_list() else { continue };
                    let derived = list.tokens.to_string();
                    let harmless = derived.split(',').all(|name| ["Clone", "Debug"].contains(&name.trim()));
                    assert!(harmless || !list.path.is_ident("derive"), "`{}` derives {derived}", stage.ident);
                }
                for field in &stage.fields {
                    let private = matches!(field.vis, Visibility::Inherited);
                    assert!(private, "a field of `{}` is visible outside of stages.rs", stage.ident);
                }
            }
            // A module inside could see the fields.
            Item::Mod(module) => assert_eq!(module.ident, "tests", "stages.rs has a module inside"),
            Item::Macro(item) => {
                let text = item.mac.tokens.to_string();
                let functions = text.split("fn ").skip(1);
                let names: Vec<_> = functions.map(|rest| rest.split_whitespace().next().unwrap_or_default()).collect();
                assert!(names.iter().all(|name| *name == "deref"), "a macro in stages.rs may hide {names:?}");
            }
            _ => {}
        }
    }
}

#[test]
fn each_stage_takes_the_stage_before_it() {
    let items = items();
    for (position, stage) in STAGES.iter().enumerate() {
        let mut constructors = Vec::new();
        for item in &items {
            let Item::Impl(block) = item else { continue };
            if name(&block.self_ty).as_deref() != Some(stage) {
                continue;
            }
            assert!(block.trait_.is_none(), "`{stage}` implements a trait, which could make a stage from nothing");
            for inner in &block.items {
                let ImplItem::Fn(function) = inner else { continue };
                let ReturnType::Type(_, returned) = &function.sig.output else { continue };
                let returned = name(returned);
                let is_stage = returned.as_deref() == Some("Self") || returned.as_deref() == Some(stage);
                if is_stage && !takes_itself(function) {
                    constructors.push(function);
                }
            }
        }
        let [constructor] = constructors[..] else { panic!("`{stage}` has {} constructors", constructors.len()) };
        let Some(before) = position.checked_sub(1).map(|before| STAGES[before]) else { continue };
        let takes = constructor.sig.inputs.iter().any(|input| match input {
            FnArg::Typed(argument) => name(&argument.ty).as_deref() == Some(before),
            FnArg::Receiver(_) => false,
        });
        assert!(takes, "`{stage}::{}` does not take `{before}`", constructor.sig.ident);
    }
}
